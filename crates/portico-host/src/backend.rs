//! Back ends: what answers for a package.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use portico_package::{
    Digest, Manifest,
    manifest::{Intent, Page, RuntimeKind},
};
use portico_plan::snapshot::PackageView;
use serde_json::Value;

use crate::OpContext;

/// A verified package, unpacked: what a back end is made from.
#[derive(Clone, Debug)]
pub struct StagedPackage {
    /// Archive digest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Arc<Manifest>,
    /// Files by path inside the package.
    pub files: Arc<BTreeMap<String, Bytes>>,
}

/// A request for a page of a package, after routing and permission.
#[derive(Clone, Debug)]
pub struct PageRequest {
    /// The installation that is asked.
    pub package: Arc<PackageView>,
    /// The page.
    pub page: Arc<Page>,
    /// Path parameters, decoded.
    pub params: Vec<(String, String)>,
    /// Query parameters (GET) or form fields (POST), decoded.
    pub query: Vec<(String, String)>,
    /// Nonce of the page that the answer becomes a part of.
    pub nonce: Arc<str>,
    /// Values of the page's `data`, by template variable.
    pub data: Vec<(String, Value)>,
    /// The portal's generation at this request.
    pub generation: u64,
}

/// What a back end answers: content of the frame, never a whole document.
#[derive(Clone, Debug)]
pub struct PageResponse {
    /// HTTP status.
    pub status: u16,
    /// Checked HTML, already stamped with the nonce.
    pub html: Body,
    /// Title of the page, if it is not the manifest's.
    pub title: Option<String>,
    /// What the shell is asked to do.
    pub intent: Option<(Intent, Value)>,
}

/// A body held in memory.
pub type Body = String;

/// Why a back end did not answer.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Took more steps than it may.
    #[error("the page took more than its {limit} steps; {detail}")]
    Fuel {
        /// Steps allowed.
        limit: u64,
        /// Where: template and line.
        detail: String,
    },
    /// Wrote more than it may.
    #[error("the page wrote more than {limit} bytes")]
    Output {
        /// Bytes allowed.
        limit: usize,
    },
    /// The template failed.
    #[error("{template}:{line}: {message}")]
    Template {
        /// File.
        template: String,
        /// From 1.
        line: usize,
        /// What went wrong.
        message: String,
    },
    /// Cancelled: stop, kill switch or deadline.
    #[error("cancelled: {0}")]
    Cancelled(&'static str),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// A started back end of one archive, shared by all tenants.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Answers one request.
    async fn page(
        &self,
        ctx: &OpContext,
        request: PageRequest,
    ) -> Result<PageResponse, BackendError>;
}

/// Makes back ends of one kind.
#[async_trait]
pub trait BackendFactory: Send + Sync + 'static {
    /// Which kind.
    fn kind(&self) -> RuntimeKind;
    /// Checks everything that can be checked before anything serves (install time).
    fn check(&self, package: &StagedPackage) -> Result<(), portico_package::Diagnostics>;
    /// Makes it ready to answer. Idempotent, and repeated at every start of the portal.
    async fn start(&self, package: &StagedPackage) -> Result<Arc<dyn Backend>, BackendError>;
    /// Asks it whether it works.
    async fn probe(
        &self,
        backend: &Arc<dyn Backend>,
        package: &Arc<PackageView>,
    ) -> Result<(), BackendError>;
}
