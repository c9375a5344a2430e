//! The inventory once a plan is carried out.

use std::{collections::BTreeSet, sync::Arc};

use portico_package::{Digest, Permission, Release};

use super::{Action, AskStatus, Change, Plan, checks::KEPT_RELEASES};
use crate::{
    Installed, Inventory,
    inventory::{Origin, Removed, State},
};

/// Why a plan does not lead to a new inventory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotCarriedOut {
    /// Something stands in the way.
    #[error("the plan cannot be carried out: {0}")]
    Refused(String),
    /// It was made from another generation.
    #[error(
        "the plan was made at generation {made_at} and the tenant is at {now}; make the plan again"
    )]
    Stale {
        /// Generation that the plan was made from.
        made_at: u64,
        /// Generation that there is.
        now: u64,
    },
    /// It is somebody else's plan.
    #[error("the plan is for another tenant")]
    OtherTenant,
    /// Something required was not approved.
    #[error("not approved: {}", list(.0))]
    NotApproved(Vec<Permission>),
    /// An archive that it needs is not known.
    #[error("the release {0} of the plan is not known; make the plan again")]
    UnknownRelease(Digest),
}

fn list(permissions: &[Permission]) -> String {
    permissions
        .iter()
        .map(Permission::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

/// The inventory when `plan` is carried out: one generation further.
///
/// This is the last gate before activation: a plan with refusals, for another generation, or with something
/// required that nobody approved leads nowhere. `releases` finds what the inventory itself does not keep; `now` is
/// in microseconds since 1970, UTC; `actor` is what people read of who did it.
///
/// # Errors
/// See [`NotCarriedOut`].
pub fn after(
    inventory: &Inventory,
    plan: &Plan,
    approved: &BTreeSet<Permission>,
    releases: &dyn Fn(&Digest) -> Option<Arc<Release>>,
    now: i64,
    actor: &str,
) -> Result<Inventory, NotCarriedOut> {
    if plan.tenant != inventory.tenant {
        return Err(NotCarriedOut::OtherTenant);
    }
    if plan.parent_generation != inventory.generation {
        return Err(NotCarriedOut::Stale {
            made_at: plan.parent_generation,
            now: inventory.generation,
        });
    }
    if let Some(refusal) = plan.refusals.first() {
        return Err(NotCarriedOut::Refused(refusal.message.clone()));
    }
    let missing = plan.missing_approvals(approved);
    if !missing.is_empty() {
        return Err(NotCarriedOut::NotApproved(missing));
    }
    let mut next = inventory.clone();
    next.generation += 1;
    for change in &plan.changes {
        match change.action {
            Action::Install | Action::Upgrade | Action::Rollback => {
                let before = next.installed.remove(&change.package);
                let release = find(change, before.as_ref(), releases)?;
                let mut installed = brought(plan, change, approved, before, release);
                installed.generation = next.generation;
                installed.changed_at = now;
                next.removed.remove(&change.package);
                next.installed.insert(change.package.clone(), installed);
            }
            Action::Disable | Action::Enable => {
                if let Some(installed) = next.installed.get_mut(&change.package) {
                    let off = change.action == Action::Disable;
                    installed.state = if off { State::Disabled } else { State::Ready };
                    installed.reason = off.then(|| format!("switched off by {actor}"));
                    installed.generation = next.generation;
                    installed.changed_at = now;
                }
            }
            Action::Remove => {
                if let Some(gone) = next.installed.remove(&change.package) {
                    next.removed
                        .insert(change.package.clone(), removed(gone, now, actor));
                }
            }
        }
    }
    Ok(next)
}

fn find(
    change: &Change,
    before: Option<&Installed>,
    releases: &dyn Fn(&Digest) -> Option<Arc<Release>>,
) -> Result<Arc<Release>, NotCarriedOut> {
    let kept = before
        .into_iter()
        .flat_map(|before| std::iter::once(&before.release).chain(&before.previous));
    kept.filter(|release| release.digest == change.digest)
        .map(Arc::clone)
        .next()
        .or_else(|| releases(&change.digest))
        .filter(|release| {
            release.manifest.id == change.package && release.manifest.version == change.version
        })
        .ok_or(NotCarriedOut::UnknownRelease(change.digest))
}

/// An installation with another release than before, or a new one.
fn brought(
    plan: &Plan,
    change: &Change,
    approved: &BTreeSet<Permission>,
    before: Option<Installed>,
    release: Arc<Release>,
) -> Installed {
    let grants = change
        .permissions
        .iter()
        .filter(|ask| match ask.status {
            AskStatus::Held => true,
            AskStatus::New | AskStatus::Widened => {
                approved.contains(&ask.permission) && (plan.may_grant || ask.delegable)
            }
            AskStatus::Dropped => false,
        })
        .map(|ask| ask.permission.clone())
        .collect();
    let asked_for = change.package == plan.package;
    let origin = match &before {
        Some(before) if !(asked_for && plan.origin == Origin::Config) => before.origin,
        _ => plan.origin,
    };
    let overrides = match (&plan.overrides, &before) {
        (Some(overrides), _) if asked_for => overrides.clone(),
        (_, Some(before)) => before.overrides.clone(),
        _ => Default::default(),
    };
    let (state, reason) = match &before {
        Some(before) if before.state == State::Disabled => (State::Disabled, before.reason.clone()),
        _ => (State::Ready, None),
    };
    let mut previous = Vec::new();
    if let Some(before) = before {
        previous.push(before.release);
        previous.extend(before.previous);
        previous.retain(|kept| kept.digest != release.digest);
        previous.truncate(KEPT_RELEASES);
    }
    Installed {
        release,
        origin,
        state,
        reason,
        mount: change.mount.clone(),
        config: change.config.clone(),
        grants,
        previous,
        overrides,
        generation: 0,
        changed_at: 0,
    }
}

fn removed(gone: Installed, now: i64, actor: &str) -> Removed {
    let manifest = &gone.release.manifest;
    Removed {
        name: gone
            .overrides
            .name
            .unwrap_or_else(|| manifest.name.as_str().to_owned()),
        version: manifest.version.clone(),
        mount: gone.mount,
        removed_by: actor.to_owned(),
        removed_at: now,
    }
}
