//! After an operation: what nothing refers to any more goes.

use std::collections::BTreeSet;

use portico_package::Digest;
use portico_plan::TenantId;

use crate::Control;

/// Events kept for browsers that were away.
const KEPT_EVENTS: u64 = 10_000;

/// Archives younger than this are never swept: an operation may be about to refer to them.
const YOUNG_MICROS: i64 = 60_000_000;

/// Frees back ends and archives that are not in use. Never fails an operation: it runs again.
pub(crate) async fn after(control: &Control, tenant: &TenantId) {
    let serving: BTreeSet<Digest> = control
        .inner
        .inventories
        .load()
        .values()
        .flat_map(|i| i.installed.values().map(|p| p.release.digest))
        .collect();
    let kept: BTreeSet<Digest> = control
        .inner
        .inventories
        .load()
        .values()
        .flat_map(|i| {
            i.installed
                .values()
                .flat_map(|p| p.previous.iter().map(|r| r.digest))
        })
        .collect();
    control
        .inner
        .parts
        .stage
        .retire(&|d| serving.contains(d), &|d| {
            serving.contains(d) || kept.contains(d)
        });
    if let Err(error) = sweep(control, YOUNG_MICROS).await {
        tracing::warn!(%tenant, %error, "archives that nothing refers to were not removed; the next operation tries again");
    }
}

/// Forgets what only grows: events that no browser can still ask for, sessions and links that are over.
pub(crate) async fn prune(control: &Control, tenant: &TenantId) -> Result<(), crate::ControlError> {
    let now = control.inner.parts.clock.now();
    let mut tx = control.inner.parts.store.begin().await?;
    tx.events_prune(tenant, KEPT_EVENTS).await?;
    tx.session_prune(tenant, now).await?;
    tx.sign_in_link_prune(tenant, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Removes archives that no release and no pending operation refers to.
pub(crate) async fn sweep(
    control: &Control,
    young_micros: i64,
) -> Result<u64, crate::ControlError> {
    let mut tx = control.inner.parts.store.read().await?;
    let in_use = tx.blob_digests_in_use(None).await?;
    drop(tx);
    let before = control.inner.parts.clock.now() - young_micros;
    let swept = control.inner.parts.blobs.sweep(in_use, before).await?;
    Ok(swept.blobs + swept.unfinished)
}
