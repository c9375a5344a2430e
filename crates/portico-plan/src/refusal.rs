//! Why a plan cannot be carried out.

use portico_package::PackageId;
use serde::{Deserialize, Serialize};

/// One reason. The codes are stable and part of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// `not-found`, `already-installed`, `not-installed`, `missing-dependency`, `dependency-cycle`,
    /// `unsatisfiable`, `platform-version`, `component-library`, `dependents`, `route-conflict`,
    /// `quota-microsites`, `quota-storage`, `invalid-config`, `unsupported-runtime`, `unsupported-feature`,
    /// `owned-by-configuration`, `no-previous-version`, `permission-not-delegable`, `invalid-state`,
    /// `dynamic-disabled`.
    pub code: String,
    /// The package it is about.
    pub package: String,
    /// A sentence: what is wrong and what to do.
    pub message: String,
    /// What stands in the way, by name (owners of a route, dependents, a JSON pointer of the configuration).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blockers: Vec<String>,
}

impl Refusal {
    /// A reason with nothing in the way by name.
    pub fn new(code: &str, package: &PackageId, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            package: package.to_string(),
            message: message.into(),
            blockers: Vec::new(),
        }
    }

    /// The same with what stands in the way.
    pub fn blocked_by(self, blockers: impl IntoIterator<Item = String>) -> Self {
        Self {
            blockers: blockers.into_iter().collect(),
            ..self
        }
    }

    /// The HTTP status that the requirement gives this reason.
    pub fn status(&self) -> u16 {
        match self.code.as_str() {
            "not-found" => 404,
            "route-conflict"
            | "dependents"
            | "already-installed"
            | "not-installed"
            | "owned-by-configuration"
            | "no-previous-version"
            | "invalid-state" => 409,
            "permission-not-delegable" | "permission-not-approved" | "dynamic-disabled" => 403,
            "invalid-config" | "unsupported-runtime" | "unsupported-feature" => 422,
            "quota-microsites" | "quota-storage" => 409,
            _ => 400,
        }
    }
}
