//! The stage of the control plane, on the gateway and the web crate.

use std::sync::Arc;

use portico_control::Stage;
use portico_gateway::{Event, EventHubs, Live};
use portico_host::{Backend, StagedPackage, asset::AssetSet};
use portico_package::{Digest, PackageId};
use portico_plan::{TenantId, TenantSnapshot};
use serde_json::Value;

/// Puts things where the data plane finds them.
pub(crate) struct GatewayStage {
    pub(crate) live: Arc<Live>,
    pub(crate) hubs: Arc<EventHubs>,
}

impl Stage for GatewayStage {
    fn prepare_assets(&self, package: &StagedPackage) -> AssetSet {
        portico_web::package_assets(package)
    }

    fn has_backend(&self, digest: &Digest) -> bool {
        self.live.has_backend(digest)
    }

    fn put(&self, digest: Digest, backend: Arc<dyn Backend>, assets: AssetSet) {
        self.live.put_assets(digest, &assets);
        self.live.put_backend(digest, backend);
    }

    fn retire(&self, in_use: &dyn Fn(&Digest) -> bool, keep_assets: &dyn Fn(&Digest) -> bool) {
        self.live.retire_backends(in_use);
        self.live.retire_assets(keep_assets);
    }

    fn shown(&self, tenant: &TenantId) -> Option<Arc<TenantSnapshot>> {
        self.live.snapshot().tenant(tenant).cloned()
    }

    fn publish(&self, tenant: Arc<TenantSnapshot>) -> bool {
        self.live.publish(tenant).is_ok()
    }

    fn kill(&self, tenant: &TenantId, package: &PackageId) {
        self.live.kill(tenant, package);
    }

    fn event(&self, tenant: &TenantId, seq: Option<u64>, event: &Value) {
        let generation = event
            .get("generation")
            .and_then(Value::as_u64)
            .unwrap_or_default();
        self.hubs.of(tenant).publish(
            &Event {
                seq,
                json: event.to_string(),
            },
            generation,
        );
    }
}
