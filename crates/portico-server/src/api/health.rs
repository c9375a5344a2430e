//! Is everything all right: for people, for probes, for Prometheus.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use portico_control::operation::OperationState;
use portico_plan::inventory::State as Lifecycle;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Caller, CoreState};
use crate::{
    portal::Core,
    problem::{Answer, Problem},
};

/// Permission to see how the portal is.
pub const READ: &str = "portal:read";

/// How the portal is.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `ok` or `attention`.
    pub status: String,
    /// One sentence.
    pub summary: String,
    /// Portal version.
    pub version: String,
    /// Generation that serves.
    pub generation: u64,
    /// Since when this process runs, RFC 3339.
    pub started_at: String,
    /// Packages by state.
    pub packages: PackageCounts,
    /// Operations.
    pub operations: OperationCounts,
    /// Storage of the tenant's packages, bytes.
    pub storage: Storage,
    /// Packages that need somebody, with the reason.
    pub attention: Vec<Attention>,
}

/// Packages by state.
#[derive(Debug, Serialize, ToSchema)]
pub struct PackageCounts {
    /// Serve.
    pub ready: usize,
    /// Serve, with something wrong.
    pub degraded: usize,
    /// Switched off.
    pub disabled: usize,
}

/// Operations.
#[derive(Debug, Serialize, ToSchema)]
pub struct OperationCounts {
    /// Queued or running.
    pub running: usize,
    /// Failed within the last day.
    pub failed_last_day: usize,
}

/// Storage, bytes.
#[derive(Debug, Serialize, ToSchema)]
pub struct Storage {
    /// Taken by archives.
    pub used: u64,
    /// `max_storage_per_tenant`.
    pub limit: Option<u64>,
}

/// Something that needs somebody.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attention {
    /// Package id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// How the portal is, in one sentence and in numbers.
#[utoipa::path(get, path = "/api/portal/health", tag = "portal", operation_id = "getHealth",
    responses((status = 200, body = Health), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn summary(State(core): CoreState, caller: Caller) -> Answer<Json<Health>> {
    caller.need(READ)?;
    let tenant = core.tenant_snapshot(caller.tenant())?;
    let inventory = core.inventory(caller.tenant())?;
    let operations = core.control.operations(caller.tenant(), 200).await?;
    let day_ago = core.clock.now() - 86_400_000_000;
    let count = |state| {
        tenant
            .packages
            .values()
            .filter(|p| p.state == state)
            .count()
    };
    let running = operations.iter().filter(|o| !o.state.is_final()).count();
    let failed_last_day = operations
        .iter()
        .filter(|o| o.state == OperationState::Failed && o.updated_at > day_ago)
        .count();
    let attention: Vec<_> = tenant
        .packages
        .values()
        .filter(|p| p.state == Lifecycle::Degraded)
        .map(|p| Attention {
            id: p.id.to_string(),
            name: p.name.clone(),
            reason: p.reason.clone().unwrap_or_default(),
        })
        .collect();
    let (ready, degraded, disabled) = (
        count(Lifecycle::Ready),
        count(Lifecycle::Degraded),
        count(Lifecycle::Disabled),
    );
    let summary = match attention.len() {
        0 => format!(
            "Everything is all right: {ready} of {} packages serve.",
            tenant.packages.len()
        ),
        1 => format!("{} needs you: {}", attention[0].name, attention[0].reason),
        n => format!("{n} packages need you."),
    };
    Ok(Json(Health {
        status: if attention.is_empty() {
            "ok"
        } else {
            "attention"
        }
        .into(),
        summary,
        version: env!("CARGO_PKG_VERSION").into(),
        generation: tenant.generation,
        started_at: super::microsites::at(core.started_at),
        packages: PackageCounts {
            ready,
            degraded,
            disabled,
        },
        operations: OperationCounts {
            running,
            failed_last_day,
        },
        storage: Storage {
            used: inventory
                .installed
                .values()
                .map(|i| i.release.size + i.previous.iter().map(|r| r.size).sum::<u64>())
                .sum(),
            limit: core
                .control
                .policy(caller.tenant())
                .and_then(|p| p.max_storage),
        },
        attention,
    }))
}

/// Probes and metrics: open to whoever reaches the port, and say nothing about tenants.
pub(super) fn router() -> Router<Arc<Core>> {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/csp", axum::routing::post(csp_report))
}

/// Ready while what is active serves. A lost store does not stop that, and is said.
async fn ready(State(core): CoreState) -> Response {
    let store = core.control.store().healthy().await;
    let body = json!({
        "ready": true,
        "generation": core.tenant_snapshot(&core.default_tenant).map(|t| t.generation).unwrap_or_default(),
        "store": match &store { Ok(()) => "ok".to_owned(), Err(e) => e.to_string() },
    });
    Json(body).into_response()
}

async fn metrics(State(core): CoreState) -> Response {
    match core.metrics.text() {
        Ok(text) => (
            [(
                header::CONTENT_TYPE,
                "text/plain; version=0.0.4; charset=utf-8",
            )],
            text,
        )
            .into_response(),
        Err(error) => Problem::new(500, "internal", error.to_string()).into_response(),
    }
}

/// What browsers blocked: logged, so that an attack (or an honest mistake of a package) is seen.
async fn csp_report(State(core): CoreState, body: axum::body::Bytes) -> StatusCode {
    if core.csp_report_limit.check().is_ok() {
        let text: String = String::from_utf8_lossy(&body)
            .chars()
            .filter(|c| !c.is_control())
            .take(2000)
            .collect();
        tracing::warn!(report = %text, "a browser blocked something by the content security policy");
    }
    StatusCode::NO_CONTENT
}
