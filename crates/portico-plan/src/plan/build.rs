//! Makes plans.

use std::{collections::BTreeSet, sync::Arc};

use portico_package::{
    Digest, PackageId, Permission, Release, Version, manifest::check::is_file_icon,
};
use serde_json::Value;

use super::{Action, Change, Plan, Request, Verb, asks, checks, settings};
use crate::{
    Installed, Inventory, Policy, Refusal, access, effective,
    inventory::{Catalogue, Origin, State},
    resolve::{Goal, Step, World, resolve},
};

/// Version of a plan's JSON form.
const FORMAT_VERSION: u32 = 1;

/// What would happen. Never fails: what stands in the way is in the plan's refusals.
pub fn plan(
    policy: &Policy,
    inventory: &Inventory,
    catalogue: &dyn Catalogue,
    request: &Request,
) -> Plan {
    let world = World {
        policy,
        inventory,
        catalogue,
    };
    let mut draft = Draft {
        world,
        request,
        installed: inventory.installed.get(&request.package),
        planned: Vec::new(),
        refusals: Vec::new(),
        notices: Vec::new(),
    };
    draft.may_be_asked();
    if draft.refusals.is_empty() {
        match request.verb {
            Verb::Install => draft.install(),
            Verb::Upgrade => draft.upgrade(),
            Verb::Rollback => draft.rollback(),
            Verb::Disable => draft.disable(),
            Verb::Enable => draft.enable(),
            Verb::Uninstall => draft.uninstall(),
        }
    }
    draft.finished()
}

/// A change with the release that it is about.
pub(super) struct Planned {
    pub(super) change: Change,
    pub(super) release: Arc<Release>,
}

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub(super) world: World<'a>,
    pub(super) request: &'a Request,
    pub(super) installed: Option<&'a Installed>,
    pub(super) planned: Vec<Planned>,
    pub(super) refusals: Vec<Refusal>,
    pub(super) notices: Vec<String>,
}

impl<'a> Draft<'a> {
    pub(super) fn id(&self) -> &'a PackageId {
        &self.request.package
    }

    pub(super) fn refuse(&mut self, code: &str, message: String) {
        self.refusals.push(Refusal::new(code, self.id(), message));
    }

    /// Whether this may be asked at all, whatever would come of it.
    fn may_be_asked(&mut self) {
        let id = self.id();
        let request = self.request;
        if let Some(asker) = &request.requested_by {
            let needed = request.verb.permission();
            let grants = self.world.inventory.installed.get(asker).map(|p| &p.grants);
            if !grants.is_some_and(|grants| access::granted(grants, needed)) {
                let message =
                    format!("`{asker}` may not ask for this: it does not hold `{needed}`.");
                self.refusals.push(
                    Refusal::new("permission-not-delegable", id, message)
                        .blocked_by([needed.to_owned()]),
                );
            }
        }
        let by_people = request.origin == Origin::Installed;
        let adds = !matches!(request.verb, Verb::Disable | Verb::Uninstall);
        if by_people && adds && !self.world.policy.dynamic {
            self.refuse(
                "dynamic-disabled",
                "Packages cannot be changed while the portal runs: dynamic_microsites.enabled is false in the \
                 configuration."
                    .into(),
            );
        }
        match self.installed.map(|installed| installed.origin) {
            Some(Origin::Config)
                if request.origin != Origin::Config && request.verb != Verb::Install =>
            {
                let message = format!(
                    "`{id}` belongs to the configuration. Change its entry under `microsites:` and reload the \
                     configuration."
                );
                self.refuse("owned-by-configuration", message);
            }
            Some(Origin::Installed) if !by_people && request.verb != Verb::Install => {
                let message = format!(
                    "`{id}` was installed by people, so the configuration does not change it."
                );
                self.refuse("invalid-state", message);
            }
            _ => {}
        }
    }

    /// Takes the newest of `candidates` that fits, with what it requires.
    pub(super) fn resolved(&mut self, candidates: Vec<Arc<Release>>, action: Action) {
        let goal = Goal {
            package: self.id(),
            candidates,
            origin: self.request.origin,
        };
        match resolve(self.world, &goal) {
            Ok(resolution) => {
                self.notices.extend(resolution.notices);
                for step in resolution.steps {
                    let planned = self.step(&step, action);
                    self.planned.push(planned);
                }
            }
            Err(refusals) => self.refusals.extend(refusals),
        }
    }

    fn step(&mut self, step: &Step, action: Action) -> Planned {
        let id = &step.release.manifest.id;
        let action = match self.world.inventory.installed.contains_key(id) {
            _ if id == self.id() => action,
            true => Action::Upgrade,
            false => Action::Install,
        };
        self.change(action, &step.release, step.because.as_deref())
    }

    pub(super) fn change(
        &mut self,
        action: Action,
        release: &Arc<Release>,
        because: Option<&str>,
    ) -> Planned {
        let manifest = &release.manifest;
        let installed = self.world.inventory.installed.get(&manifest.id);
        let brings = matches!(action, Action::Install | Action::Upgrade | Action::Rollback);
        let mount = match installed {
            Some(installed) if !brings => installed.mount.clone(),
            _ => self.mount_of(release, installed),
        };
        let config = if brings {
            let settled = self.settled(release, installed);
            self.refusals.extend(settled.refusals);
            self.notices.extend(settled.notices);
            settled.value
        } else if action == Action::Remove {
            Value::Null
        } else {
            installed.map_or(Value::Null, |installed| installed.config.clone())
        };
        let mut change = Change {
            action,
            package: manifest.id.clone(),
            name: manifest.name.clone(),
            icon: icon(release, installed),
            from: installed.map(|installed| version(installed).clone()),
            version: manifest.version.clone(),
            registry: release.registry.clone(),
            target: release.target.clone(),
            digest: release.digest,
            size: release.size,
            publisher: release.publisher.clone(),
            because: because.unwrap_or("asked for").to_owned(),
            permissions: asks::asks(action, manifest, installed, self.asker_grants()),
            routes_added: Vec::new(),
            routes_removed: Vec::new(),
            navigation_added: Vec::new(),
            navigation_removed: Vec::new(),
            mount,
            config,
        };
        let before = installed.map(|now| self.shown(now)).unwrap_or_default();
        let after = self.shown_afterwards(&change, release, installed);
        checks::difference(&mut change, before, after);
        Planned {
            change,
            release: Arc::clone(release),
        }
    }

    fn asker_grants(&self) -> Option<&'a BTreeSet<Permission>> {
        let asker = self.request.requested_by.as_ref()?;
        self.world
            .inventory
            .installed
            .get(asker)
            .map(|asker| &asker.grants)
    }

    /// Routes and navigation as they are.
    fn shown(&self, installed: &Installed) -> (Vec<String>, Vec<String>) {
        let manifest = &installed.release.manifest;
        let navigation = match installed.state {
            State::Disabled => Vec::new(),
            _ => effective::navigation_names(manifest, &installed.overrides),
        };
        (effective::routes(manifest, &installed.mount), navigation)
    }

    /// Routes and navigation as they will be. What is switched off keeps its paths and leaves the navigation.
    fn shown_afterwards(
        &self,
        change: &Change,
        release: &Release,
        installed: Option<&Installed>,
    ) -> (Vec<String>, Vec<String>) {
        let manifest = &release.manifest;
        let off = match change.action {
            Action::Remove => return Default::default(),
            Action::Disable => true,
            Action::Enable => false,
            _ => installed.is_some_and(|installed| installed.state == State::Disabled),
        };
        let overrides = match (&self.request.overrides, installed) {
            (Some(overrides), _) if change.package == self.request.package => overrides.clone(),
            (_, Some(installed)) => installed.overrides.clone(),
            _ => Default::default(),
        };
        let navigation = if off {
            Vec::new()
        } else {
            effective::navigation_names(manifest, &overrides)
        };
        (effective::routes(manifest, &change.mount), navigation)
    }

    /// Where the package lives afterwards: where the request says; else it follows its manifest, unless somebody
    /// gave it another path before.
    pub(super) fn mount_of(&self, release: &Release, installed: Option<&Installed>) -> String {
        let manifest = &release.manifest;
        let own = effective::mount(manifest);
        match (&self.request.mount, installed) {
            (Some(mount), _) if manifest.id == self.request.package => {
                if effective::is_link(manifest) {
                    mount.clone()
                } else {
                    effective::normalise_mount(mount)
                }
            }
            (_, Some(now)) if now.mount != effective::mount(&now.release.manifest) => {
                now.mount.clone()
            }
            _ => own,
        }
    }

    pub(super) fn settled(
        &self,
        release: &Release,
        installed: Option<&Installed>,
    ) -> settings::Settings {
        let manifest = &release.manifest;
        let asked = manifest.id == self.request.package;
        let wanted = self.request.config.as_ref().filter(|_| asked);
        let before = installed.map(|installed| &installed.config);
        settings::settle(
            &manifest.id,
            manifest.config_schema.as_ref(),
            before,
            wanted,
        )
    }

    fn finished(mut self) -> Plan {
        let World {
            policy, inventory, ..
        } = self.world;
        for planned in &self.planned {
            if !matches!(planned.change.action, Action::Disable | Action::Remove) {
                self.refusals
                    .extend(checks::can_run(policy, &planned.release));
            }
        }
        self.refusals
            .extend(checks::paths(policy, inventory, &self.planned));
        if !self.request.may_grant {
            let asker = self.request.requested_by.as_ref();
            self.refusals.extend(
                self.planned
                    .iter()
                    .filter_map(|p| asks::not_delegable(&p.change, asker)),
            );
        }
        let storage_bytes = checks::quotas(
            policy,
            inventory,
            &self.request.package,
            self.request.origin,
            &self.planned,
            &mut self.refusals,
        );
        let mut plan = Plan {
            format_version: FORMAT_VERSION,
            tenant: inventory.tenant.clone(),
            verb: self.request.verb,
            package: self.request.package.clone(),
            may_grant: self.request.may_grant,
            origin: self.request.origin,
            overrides: self.request.overrides.clone(),
            parent_generation: inventory.generation,
            changes: self
                .planned
                .into_iter()
                .map(|planned| planned.change)
                .collect(),
            refusals: self.refusals,
            notices: self.notices,
            storage_bytes,
            lock: Digest::of(b""),
        };
        plan.lock = plan.lock_body().digest();
        plan
    }
}

/// The icon as people see it now: a file only once the portal serves it.
fn icon(release: &Release, installed: Option<&Installed>) -> Option<String> {
    if let Some(now) = installed {
        let manifest = &now.release.manifest;
        let icon = now.overrides.icon.as_ref().or(manifest.icon.as_ref())?;
        return Some(effective::icon_url(manifest, icon, &now.release.digest));
    }
    let icon = release.manifest.icon.clone()?;
    (!is_file_icon(&icon)).then_some(icon)
}

/// The version that serves.
pub(super) fn version(installed: &Installed) -> &Version {
    &installed.release.manifest.version
}
