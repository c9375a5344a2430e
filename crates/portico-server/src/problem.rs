//! RFC 9457 problems: the one shape of every error that a client sees.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use portico_control::ControlError;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// What was wrong, where, and what to do. `application/problem+json`; `instance`, the id of the request, is
/// added on the way out ([`crate::api`]).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:portico:problem:<code>`.
    #[serde(rename = "type")]
    pub type_: String,
    /// The status in words.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// What was wrong and what to do.
    pub detail: String,
    /// Stable code.
    pub code: String,
    /// More, by code: `plan`, `refusals`, `missing`, `errors`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub more: Map<String, Value>,
}

/// What handlers answer.
pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    /// A problem with a code of its own.
    pub fn new(status: u16, code: &str, detail: impl Into<String>) -> Self {
        let title = StatusCode::from_u16(status)
            .ok()
            .and_then(|s| s.canonical_reason())
            .unwrap_or("Error");
        Self {
            type_: format!("urn:portico:problem:{code}"),
            title,
            status,
            detail: detail.into(),
            code: code.to_owned(),
            more: Map::new(),
        }
    }

    /// Adds an extension field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Serialize) -> Self {
        self.more.insert(
            key.to_owned(),
            serde_json::to_value(value).unwrap_or(Value::Null),
        );
        self
    }

    /// Nobody is signed in.
    pub fn unauthorized() -> Self {
        Self::new(
            401,
            "sign-in-required",
            "sign in, or send an API token as `Authorization: Bearer …`",
        )
    }

    /// The person or token may not.
    pub fn forbidden(permission: &str) -> Self {
        Self::new(
            403,
            "permission-missing",
            format!("this needs the permission `{permission}`: ask an administrator for it"),
        )
        .with("permission", permission)
    }

    /// The body or query cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(400, "bad-request", detail)
    }

    /// There is no such thing.
    pub fn not_found(kind: &str, id: &str) -> Self {
        Self::new(404, "not-found", format!("there is no {kind} `{id}`"))
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        let problem = Self::new(error.status(), error.code(), error.to_string());
        match error {
            ControlError::Refused(plan) => {
                let refusals = json!(plan.refusals);
                problem.with("refusals", refusals).with("plan", *plan)
            }
            ControlError::PlanChanged(plan) => problem.with("plan", *plan),
            ControlError::NotApproved { missing, plan } => {
                problem.with("missing", missing).with("plan", *plan)
            }
            ControlError::StaleGeneration { current, .. } => problem.with("generation", current),
            ControlError::Store(ref e) => {
                tracing::error!(error = %e, "the store failed a request");
                problem
            }
            _ => problem,
        }
    }
}

impl From<portico_store::StoreError> for Problem {
    fn from(error: portico_store::StoreError) -> Self {
        ControlError::from(error).into()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        }
        response
    }
}
