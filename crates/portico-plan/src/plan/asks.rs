//! Permissions of a change: what is asked, what is held, what could be passed on.

use std::collections::BTreeSet;

use portico_package::{Manifest, PackageId, Permission, permission::describe};

use super::{Action, AskStatus, Change, PermissionAsk};
use crate::{Installed, Refusal, access};

/// What a change asks for, in the manifest's order, then what it no longer asks for.
pub(super) fn asks(
    action: Action,
    manifest: &Manifest,
    installed: Option<&Installed>,
    asker: Option<&BTreeSet<Permission>>,
) -> Vec<PermissionAsk> {
    let none = BTreeSet::new();
    let held = installed.map_or(&none, |installed| &installed.grants);
    let asked_before = |permission: &Permission| {
        installed.is_none_or(|installed| {
            installed
                .release
                .manifest
                .permissions
                .iter()
                .any(|ask| ask.permission == *permission)
        })
    };
    let delegable = |permission: &Permission| {
        asker.is_some_and(|grants| access::granted(grants, permission.as_str()))
    };
    let mut asks: Vec<PermissionAsk> = Vec::new();
    let wanted: &[_] = if action == Action::Remove {
        &[]
    } else {
        &manifest.permissions
    };
    for ask in wanted {
        if asks.iter().any(|known| known.permission == ask.permission) {
            continue;
        }
        let status = if access::granted(held, ask.permission.as_str()) {
            AskStatus::Held
        } else if matches!(action, Action::Disable | Action::Enable) {
            // Was refused when it was installed; switching on or off is no occasion to ask again.
            continue;
        } else if asked_before(&ask.permission) {
            AskStatus::New
        } else {
            AskStatus::Widened
        };
        let (group, summary) = describe(&ask.permission);
        asks.push(PermissionAsk {
            permission: ask.permission.clone(),
            reason: ask.reason.clone(),
            summary,
            group: group.to_owned(),
            optional: ask.optional,
            status,
            delegable: delegable(&ask.permission),
        });
    }
    for permission in held {
        if asks.iter().all(|ask| ask.permission != *permission) {
            let (group, summary) = describe(permission);
            asks.push(PermissionAsk {
                permission: permission.clone(),
                reason: None,
                summary,
                group: group.to_owned(),
                optional: true,
                status: AskStatus::Dropped,
                delegable: delegable(permission),
            });
        }
    }
    asks
}

/// A refusal when whoever approves could not give what the change needs.
pub(super) fn not_delegable(change: &Change, asker: Option<&PackageId>) -> Option<Refusal> {
    let beyond: Vec<String> = change
        .permissions
        .iter()
        .filter(|ask| matches!(ask.status, AskStatus::New | AskStatus::Widened))
        .filter(|ask| !ask.optional && !ask.delegable)
        .map(|ask| ask.permission.to_string())
        .collect();
    if beyond.is_empty() {
        return None;
    }
    let named: Vec<_> = beyond
        .iter()
        .map(|permission| format!("`{permission}`"))
        .collect();
    let id = &change.package;
    let message = match asker {
        Some(asker) => format!(
            "`{id}` asks for {}, which `{asker}` does not hold itself and so cannot pass on. Somebody who may \
             approve grants has to install it.",
            named.join(", ")
        ),
        None => format!(
            "`{id}` asks for {}. Granting that needs the permission `{}`.",
            named.join(", "),
            access::APPROVE_GRANTS
        ),
    };
    Some(Refusal::new("permission-not-delegable", id, message).blocked_by(beyond))
}
