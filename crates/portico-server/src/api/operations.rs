//! Approved plans on their way.

use axum::{
    Json,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Caller, CoreState,
    models::{OperationAnswer, OperationList},
};
use crate::problem::{Answer, Problem};

/// Permission to see operations.
pub const READ: &str = "operations:read";

/// How many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// At most so many; 20 when missing, 200 at most.
    limit: Option<u32>,
    /// `queued`, `running`, `succeeded` or `failed`: only those.
    state: Option<String>,
}

/// The newest operations.
#[utoipa::path(get, path = "/api/portal/operations", tag = "operations", operation_id = "listOperations", params(ListQuery),
    responses((status = 200, body = OperationList), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(
    State(core): CoreState,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> Answer<Json<OperationList>> {
    caller.need(READ)?;
    let limit = query.limit.unwrap_or(20).clamp(1, 200);
    let all = core.control.operations(caller.tenant(), limit).await?;
    let operations = all
        .iter()
        .filter(|o| query.state.as_deref().is_none_or(|s| s == o.state.as_str()))
        .map(OperationAnswer::from)
        .collect();
    Ok(Json(OperationList { operations }))
}

/// One operation.
#[utoipa::path(get, path = "/api/portal/operations/{id}", tag = "operations", operation_id = "getOperation",
    params(("id" = String, Path, description = "Operation id")),
    responses((status = 200, body = OperationAnswer), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn get(
    State(core): CoreState,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<OperationAnswer>> {
    caller.need(READ)?;
    let operation = core.control.operation(caller.tenant(), &id).await?;
    Ok(Json(OperationAnswer::from(&operation)))
}

/// Takes a failed operation up again, under its old approval, if that still fits.
#[utoipa::path(post, path = "/api/portal/operations/{id}/retry", tag = "operations", operation_id = "retryOperation",
    params(("id" = String, Path, description = "Operation id")),
    responses((status = 202, body = OperationAnswer), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn retry(
    State(core): CoreState,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Response> {
    caller.need(READ)?;
    let earlier = core.control.operation(caller.tenant(), &id).await?;
    caller.need(earlier.verb().permission())?;
    if earlier.state != portico_control::operation::OperationState::Failed {
        return Err(Problem::new(
            409,
            "invalid-state",
            "only a failed operation can be taken up again",
        ));
    }
    let operation = core.control.retry(&caller.ctx, &id).await?;
    Ok((
        StatusCode::ACCEPTED,
        Json(OperationAnswer::from(&operation)),
    )
        .into_response())
}
