//! What the control plane asks of the data plane and the web.

use std::sync::Arc;

use portico_host::{Backend, StagedPackage, asset::AssetSet};
use portico_package::{Digest, PackageId};
use portico_plan::{TenantId, TenantSnapshot};
use serde_json::Value;

/// Where prepared things go on stage. Implemented by the server on the gateway and the web crate.
pub trait Stage: Send + Sync + 'static {
    /// Makes the files that browsers will ask for: compressed, with types and tags.
    fn prepare_assets(&self, package: &StagedPackage) -> AssetSet;
    /// Whether a started back end of this archive is there.
    fn has_backend(&self, digest: &Digest) -> bool;
    /// Puts a started back end and its assets where the data plane finds them; invisible until a
    /// snapshot routes to them.
    fn put(&self, digest: Digest, backend: Arc<dyn Backend>, assets: AssetSet);
    /// Takes back ends of archives that nothing routes to any more; assets stay for open tabs.
    fn retire(&self, in_use: &dyn Fn(&Digest) -> bool, keep_assets: &dyn Fn(&Digest) -> bool);
    /// What is routed now.
    fn shown(&self, tenant: &TenantId) -> Option<Arc<TenantSnapshot>>;
    /// Swaps what is routed. Refuses an older generation (answers false).
    fn publish(&self, tenant: Arc<TenantSnapshot>) -> bool;
    /// Cancels what runs of a package, at once.
    fn kill(&self, tenant: &TenantId, package: &PackageId);
    /// Tells every open browser of the tenant; `seq` makes it replayable.
    fn event(&self, tenant: &TenantId, seq: Option<u64>, event: &Value);
}
