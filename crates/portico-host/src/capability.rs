//! Ports of what packages with their own code may use. Static packages reach them only through the
//! portal's API; the sandbox and process back ends implement their host interfaces on these.

use async_trait::async_trait;
use bytes::Bytes;
use portico_package::{Digest, PackageId};
use serde_json::Value;

use crate::OpContext;

/// Why a capability was not exercised.
#[derive(Debug, thiserror::Error)]
pub enum CapabilityError {
    /// Not asked for, or not granted.
    #[error("`{0}` is not granted")]
    Denied(String),
    /// Over its quota.
    #[error("over quota: {0}")]
    Quota(String),
    /// Not there.
    #[error("not found: {0}")]
    NotFound(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Calls the API of the portal, or of another package, with the caller's context.
#[async_trait]
pub trait Dispatch: Send + Sync + 'static {
    /// `GET path`, as `package`, for the person of `ctx`. Only what both may see.
    async fn get(
        &self,
        ctx: &OpContext,
        package: &PackageId,
        path: &str,
    ) -> Result<Value, CapabilityError>;
}

/// Content-addressed bytes.
#[async_trait]
pub trait Blob: Send + Sync + 'static {
    /// Stores and syncs; the digest is checked.
    async fn put(&self, bytes: Bytes) -> Result<Digest, CapabilityError>;
    /// Reads; the digest is checked.
    async fn get(&self, digest: &Digest) -> Result<Bytes, CapabilityError>;
}

/// Key-value storage of one package in one tenant.
#[async_trait]
pub trait Kv: Send + Sync + 'static {
    /// Reads.
    async fn get(
        &self,
        ctx: &OpContext,
        package: &PackageId,
        key: &str,
    ) -> Result<Option<Bytes>, CapabilityError>;
    /// Writes, or removes with `None`.
    async fn set(
        &self,
        ctx: &OpContext,
        package: &PackageId,
        key: &str,
        value: Option<Bytes>,
    ) -> Result<(), CapabilityError>;
}

/// SQL on the package's own database.
#[async_trait]
pub trait Sql: Send + Sync + 'static {
    /// Rows as JSON objects.
    async fn query(
        &self,
        ctx: &OpContext,
        package: &PackageId,
        sql: &str,
        args: &[Value],
    ) -> Result<Vec<Value>, CapabilityError>;
}

/// Topics between packages.
#[async_trait]
pub trait Events: Send + Sync + 'static {
    /// Publishes to a topic that the package may publish to.
    async fn publish(
        &self,
        ctx: &OpContext,
        package: &PackageId,
        topic: &str,
        data: Value,
    ) -> Result<(), CapabilityError>;
}

/// Work for later.
#[async_trait]
pub trait Jobs: Send + Sync + 'static {
    /// Queues a job of the package; answers its id.
    async fn enqueue(
        &self,
        ctx: &OpContext,
        package: &PackageId,
        job: &str,
        args: Value,
    ) -> Result<String, CapabilityError>;
}

/// Named secrets of a tenant.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// The clear text, for one use.
    async fn reveal(
        &self,
        ctx: &OpContext,
        package: &PackageId,
        name: &str,
    ) -> Result<String, CapabilityError>;
}
