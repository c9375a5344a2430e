//! What the configuration owns: static microsites, moved towards what the file says by the same
//! plans and operations as everything else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use portico_host::OpContext;
use portico_package::{PackageId, Permission, VersionRange};
use portico_plan::{
    Request, TenantId, Verb,
    inventory::{Origin, Overrides, State},
};

use serde_json::Value;

use crate::{Control, ControlError, Operation, Submission};

/// One `microsites:` entry.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfiguredPackage {
    /// Which.
    pub id: PackageId,
    /// Path from the configuration, in place of the manifest's.
    pub mount: Option<String>,
    /// `enabled`.
    pub enabled: bool,
    /// Name, icon, order.
    pub overrides: Overrides,
    /// Who owns it: the file, or the default set.
    pub origin: Origin,
    /// What it is granted; everything that it asks for when missing.
    pub capabilities: Option<BTreeSet<Permission>>,
    /// Which versions will do; the newest when missing.
    pub version: Option<VersionRange>,
    /// Only from this registry.
    pub registry: Option<String>,
    /// Its configuration.
    pub config: Option<Value>,
}

/// What became of the entries.
#[derive(Debug, Default)]
pub struct Applied {
    /// Packages that changed.
    pub changed: Vec<PackageId>,
    /// Entries that could not be done, with the reason; the portal goes on without them.
    pub failed: Vec<(PackageId, String)>,
}

impl Control {
    /// Moves what the configuration owns to what it says: installs, switches, removes. What people
    /// installed is not touched, except that an entry of the same id takes the ownership over.
    pub async fn apply_configured(
        &self,
        ctx: &OpContext,
        wanted: &[ConfiguredPackage],
    ) -> Result<Applied, ControlError> {
        let mut applied = Applied::default();
        let by_id: BTreeMap<_, _> = wanted.iter().map(|w| (w.id.clone(), w)).collect();
        let (_, inventory) = self.known(ctx.tenant())?;
        let gone: Vec<PackageId> = inventory
            .installed
            .iter()
            .filter(|(id, i)| i.origin == Origin::Config && !by_id.contains_key(*id))
            .map(|(id, _)| id.clone())
            .collect();
        for id in gone {
            self.one(
                ctx,
                request(Verb::Uninstall, &id, Origin::Config),
                None,
                &mut applied,
            )
            .await?;
        }
        for entry in wanted {
            for request in self.towards(ctx, entry)? {
                self.one(ctx, request, entry.capabilities.as_ref(), &mut applied)
                    .await?;
            }
        }
        Ok(applied)
    }

    /// The requests that move one entry from what is to what the file says.
    fn towards(
        &self,
        ctx: &OpContext,
        entry: &ConfiguredPackage,
    ) -> Result<Vec<Request>, ControlError> {
        let (_, inventory) = self.known(ctx.tenant())?;
        let make = |verb| Request {
            version: entry.version.clone(),
            registry: entry.registry.clone(),
            config: entry.config.clone(),
            mount: entry.mount.clone(),
            overrides: Some(entry.overrides.clone()),
            ..request(verb, &entry.id, entry.origin)
        };
        Ok(match inventory.installed.get(&entry.id) {
            None if entry.enabled => vec![make(Verb::Install)],
            None => Vec::new(),
            // People own what the default set brought: only a first start installs it.
            Some(_) if entry.origin == Origin::Default => Vec::new(),
            Some(there) => {
                let off = there.state == State::Disabled;
                let moved = entry.mount.as_ref().is_some_and(|m| *m != there.mount);
                let unfit = entry
                    .version
                    .as_ref()
                    .is_some_and(|v| !v.matches(&there.release.manifest.version));
                let settings = entry
                    .config
                    .as_ref()
                    .is_some_and(|c| !contains(&there.config, c));
                let granted =
                    entry.capabilities.as_ref().is_some_and(|c| {
                        there.release.manifest.permissions.iter().any(|p| {
                            c.contains(&p.permission) != there.grants.contains(&p.permission)
                        })
                    });
                let differs = moved
                    || unfit
                    || settings
                    || granted
                    || entry.overrides != there.overrides
                    || there.origin != entry.origin;
                let mut requests = Vec::new();
                if differs {
                    // The same version with other settings: an upgrade to itself.
                    let mut request = make(Verb::Upgrade);
                    if !unfit {
                        request.version =
                            format!("={}", there.release.manifest.version).parse().ok();
                    }
                    requests.push(request);
                }
                if off && entry.enabled {
                    requests.push(make(Verb::Enable));
                } else if !off && !entry.enabled {
                    requests.push(make(Verb::Disable));
                }
                requests
            }
        })
    }

    async fn one(
        &self,
        ctx: &OpContext,
        request: Request,
        capabilities: Option<&BTreeSet<Permission>>,
        applied: &mut Applied,
    ) -> Result<(), ControlError> {
        let id = request.package.clone();
        // Whoever writes the file is the operator: what it lists is granted, without a list what is asked for.
        let plan = self.plan(ctx.tenant(), &request)?;
        let asked = plan.changes.iter().flat_map(|c| {
            c.permissions
                .iter()
                .map(move |p| (&c.package, &p.permission))
        });
        let approve = asked
            .filter(|(package, p)| **package != id || capabilities.is_none_or(|c| c.contains(*p)))
            .map(|(_, p)| p.clone())
            .collect();
        let submission = Submission {
            request,
            approve,
            lock: None,
            generation: None,
            idempotency: None,
            kill: false,
        };
        let operation = match self.submit(ctx, submission).await {
            Ok(operation) => operation,
            Err(error @ (ControlError::Store(_) | ControlError::Stopped(_))) => return Err(error),
            Err(error) => {
                applied.failed.push((id, error.to_string()));
                return Ok(());
            }
        };
        let operation = self.wait_here(ctx.tenant(), &operation.id).await?;
        match operation.error {
            None => applied.changed.push(id),
            Some(error) => applied.failed.push((id, error.message)),
        }
        Ok(())
    }

    /// Before the reconciler runs (at the start) the caller carries operations out itself.
    async fn wait_here(&self, tenant: &TenantId, id: &str) -> Result<Operation, ControlError> {
        if !self.is_started() {
            self.settle().await?;
        }
        self.wait(tenant, id, PATIENCE).await
    }
}

/// Longest that one package of the configuration is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whether every key of `wanted` has that value in `there`.
fn contains(there: &Value, wanted: &Value) -> bool {
    match (there, wanted) {
        (Value::Object(there), Value::Object(wanted)) => wanted
            .iter()
            .all(|(key, value)| there.get(key).is_some_and(|t| contains(t, value))),
        (there, wanted) => there == wanted,
    }
}

fn request(verb: Verb, id: &PackageId, origin: Origin) -> Request {
    Request {
        verb,
        package: id.clone(),
        version: None,
        registry: None,
        config: None,
        requested_by: None,
        may_grant: true,
        origin,
        mount: None,
        overrides: None,
    }
}
