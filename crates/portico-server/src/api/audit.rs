//! Who did what.

use axum::{
    Json,
    extract::{Query, State},
};
use portico_store::AuditEntry as Stored;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{Caller, CoreState, microsites::at, models::AuditEntry};
use crate::problem::{Answer, Problem};

/// Permission to read the audit log.
pub const READ: &str = "audit:read";

/// A page of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditList {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// Which part.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditQuery {
    /// At most so many; 50 when missing, 200 at most.
    limit: Option<u32>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The audit log, newest first.
#[utoipa::path(get, path = "/api/portal/audit", tag = "portal", operation_id = "listAudit", params(AuditQuery),
    responses((status = 200, body = AuditList), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(core): CoreState,
    caller: Caller,
    Query(query): Query<AuditQuery>,
) -> Answer<Json<AuditList>> {
    caller.need(READ)?;
    let limit = query.limit.unwrap_or(50).clamp(1, 200);
    let mut tx = core.control.store().read().await?;
    let cursor = query
        .cursor
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|e| Problem::bad_request(format!("cursor: {e}")))?;
    let rows = tx
        .audit_list(caller.tenant(), None, cursor.as_ref(), limit)
        .await?;
    let next = (rows.len() == limit as usize)
        .then(|| rows.last().map(|r| r.cursor().to_string()))
        .flatten();
    Ok(Json(AuditList {
        entries: entries(rows),
        next,
    }))
}

/// Rows as the API shows them.
pub(super) fn entries(stored: Vec<Stored>) -> Vec<AuditEntry> {
    stored
        .into_iter()
        .map(|Stored { id, row }| AuditEntry {
            id,
            at: at(row.at),
            name: row
                .detail
                .get("by")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            detail: row.detail.get("detail").cloned().unwrap_or(Value::Null),
            actor: row.actor,
            action: row.action,
            subject: row.subject,
            request_id: row.request_id,
        })
        .collect()
}
