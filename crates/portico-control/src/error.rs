//! Why something was not done.

use portico_plan::{Plan, Refusal};
use portico_store::StoreError;

/// Errors of the control plane. Each has a stable code and the HTTP status the API answers.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The plan cannot be carried out; the first refusal speaks.
    #[error("{}", .0.refusals.first().map_or("the plan was refused", |r| r.message.as_str()))]
    Refused(Box<Plan>),
    /// What was approved is not what would happen now.
    #[error("what would happen has changed since you looked: read the new plan and approve that")]
    PlanChanged(Box<Plan>),
    /// Required permissions that nobody approved.
    #[error("not approved: {}. Approve {} or choose another package", .missing.join(", "), if .missing.len() == 1 { "it" } else { "them" })]
    NotApproved {
        /// What is missing.
        missing: Vec<String>,
        /// What was asked.
        plan: Box<Plan>,
    },
    /// Permissions that the approver has no right to give.
    #[error("you cannot grant {}: that needs the permission `grants:approve`, or a package that asks for the installation and holds it itself", .0.join(", "))]
    NotDelegable(Vec<String>),
    /// The generation the client named is not the current one.
    #[error("the portal is at generation {current}, not {expected}: reload and decide again")]
    StaleGeneration {
        /// What the client named.
        expected: u64,
        /// What is.
        current: u64,
    },
    /// Another request used the same idempotency key for something else.
    #[error("the idempotency key `{0}` was used for a different request: use a new key")]
    IdempotencyMismatch(String),
    /// No such thing.
    #[error("there is no {kind} `{id}`")]
    NotFound {
        /// What kind of thing.
        kind: &'static str,
        /// Which.
        id: String,
    },
    /// A step failed; nothing was changed.
    #[error("{message}")]
    Step {
        /// Stable code.
        code: String,
        /// What happened and what to do.
        message: String,
    },
    /// The portal stops (or a test stopped it here).
    #[error("stopped: {0}")]
    Stopped(String),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ControlError {
    /// A failed step.
    pub fn step(code: &str, message: impl Into<String>) -> Self {
        Self::Step {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// Stable code of the API.
    pub fn code(&self) -> &str {
        match self {
            Self::Refused(plan) => plan.refusals.first().map_or("refused", |r| r.code.as_str()),
            Self::PlanChanged(_) => "plan-changed",
            Self::NotApproved { .. } => "permission-not-approved",
            Self::NotDelegable(_) => "permission-not-delegable",
            Self::StaleGeneration { .. } => "stale-generation",
            Self::IdempotencyMismatch(_) => "idempotency-mismatch",
            Self::NotFound { .. } => "not-found",
            Self::Step { code, .. } => code,
            Self::Stopped(_) => "stopping",
            Self::Store(e) => e.code(),
        }
    }

    /// HTTP status of the API.
    pub fn status(&self) -> u16 {
        match self {
            Self::Refused(plan) => plan.refusals.first().map_or(409, Refusal::status),
            Self::PlanChanged(_) | Self::StaleGeneration { .. } => 409,
            Self::NotApproved { .. } | Self::NotDelegable(_) => 403,
            Self::IdempotencyMismatch(_) => 422,
            Self::NotFound { .. } => 404,
            Self::Step { code, .. } => step_status(code),
            Self::Stopped(_) => 503,
            Self::Store(e) => e.status(),
        }
    }
}

/// The statuses that the requirement gives to failed steps.
fn step_status(code: &str) -> u16 {
    match code {
        "registry-unreachable" => 502,
        "disk-full" => 507,
        "cancelled" => 409,
        "probe-failed" | "start-failed" => 422,
        "package-refused" => 422,
        _ => 400,
    }
}
