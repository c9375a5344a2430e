//! Where archives come from, behind a port: registries for real, fakes in tests.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use portico_package::{Release, signature::PublicKey};
use portico_plan::inventory::Catalogue;

use crate::ControlError;

/// The trusted registries, as the control plane needs them.
#[async_trait]
pub trait Sources: Send + Sync + 'static {
    /// The current index over all of them; immutable, cheap to take.
    fn catalogue(&self) -> Arc<dyn Catalogue + Send + Sync>;
    /// The archive of a release; digest and length are checked.
    async fn fetch(&self, release: &Release) -> Result<Bytes, ControlError>;
    /// Keys whose signature on an archive of this registry counts.
    fn publisher_keys(&self, registry: &str) -> Vec<PublicKey>;
}
