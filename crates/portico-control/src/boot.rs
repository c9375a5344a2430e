//! Start: what was active serves again, whatever happened.

use std::{collections::BTreeMap, sync::Arc};

use portico_package::Digest;
use portico_plan::{Inventory, Policy, TenantId, TenantSnapshot, inventory::State};
use serde_json::json;

use crate::{
    Control, ControlError,
    reconcile::{self, start_backend, verified},
    retire,
};

impl Control {
    /// Loads every tenant, starts what is active and publishes it. A package that cannot be started is
    /// shown as degraded with its reason; nothing that a package does keeps the portal from booting.
    pub async fn boot(&self, policies: BTreeMap<TenantId, Policy>) -> Result<(), ControlError> {
        for (tenant, policy) in policies {
            self.set_policy(&tenant, policy);
            self.boot_tenant(&tenant).await?;
        }
        Ok(())
    }

    async fn boot_tenant(&self, tenant: &TenantId) -> Result<(), ControlError> {
        let parts = &self.inner.parts;
        let mut tx = parts.store.read().await?;
        let inventory = tx.inventory_load(tenant).await?;
        drop(tx);
        let mut shown = inventory.clone();
        let mut broken: BTreeMap<Digest, String> = BTreeMap::new();
        for installed in shown
            .installed
            .values_mut()
            .filter(|i| i.state != State::Disabled)
        {
            let release = Arc::clone(&installed.release);
            let outcome = match broken.get(&release.digest) {
                Some(reason) => Err(reason.clone()),
                None => self.bring_back(&release).await.map_err(|e| e.to_string()),
            };
            if let Err(reason) = outcome {
                tracing::error!(%tenant, package = %release.manifest.id, version = %release.manifest.version, reason, "an installed package could not be started");
                installed.state = State::Degraded;
                installed.reason = Some(reason.clone());
                broken.insert(release.digest, reason);
            }
        }
        parts
            .stage
            .publish(Arc::new(TenantSnapshot::compile(&shown)));
        self.set_inventory(inventory);
        if let Err(error) = retire::sweep(self, 0).await {
            tracing::warn!(%tenant, %error, "left-over archives were not removed");
        }
        Ok(())
    }

    /// Starts the back end of a release that was active: from its archive here, else fetched again.
    async fn bring_back(&self, release: &portico_package::Release) -> Result<(), ControlError> {
        let parts = &self.inner.parts;
        let staged = match verified(self, release, true).await {
            Ok(staged) => staged,
            Err(error) => {
                tracing::warn!(digest = %release.digest, %error, "the archive here does not hold together and is fetched again");
                let bytes = parts.sources.fetch(release).await?;
                parts.blobs.put(bytes).await?;
                verified(self, release, true).await?
            }
        };
        if let Some(factory) = self.factory(release.manifest.runtime.kind) {
            factory
                .check(&staged)
                .map_err(|d| ControlError::step("package-refused", d.to_string()))?;
        }
        start_backend(self, &staged).await
    }

    /// The next snapshot, sharing what did not change with the one that is shown.
    pub(crate) fn compile(&self, after: &Inventory) -> TenantSnapshot {
        match self.inner.parts.stage.shown(&after.tenant) {
            Some(shown) => TenantSnapshot::apply(&shown, after),
            None => TenantSnapshot::compile(after),
        }
    }

    /// Runs everything that is pending now, on the caller's task: for start-up and tests.
    pub async fn settle(&self) -> Result<(), ControlError> {
        reconcile::drain(self).await
    }

    /// Writes one audit record.
    pub async fn audit(
        &self,
        ctx: &portico_host::OpContext,
        action: &str,
        subject: &str,
        detail: serde_json::Value,
    ) -> Result<(), ControlError> {
        let parts = &self.inner.parts;
        let mut tx = parts.store.begin().await?;
        let row = portico_store::AuditRow {
            actor: ctx.identity.actor.label(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: json!({ "by": ctx.identity.name, "detail": detail }),
            request_id: ctx.request_id.to_string(),
            at: parts.clock.now(),
        };
        tx.audit_append(ctx.tenant(), &row).await?;
        tx.commit().await?;
        Ok(())
    }
}
