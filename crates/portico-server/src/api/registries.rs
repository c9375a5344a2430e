//! Trusted registries.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{Caller, CoreState, JsonBody, microsites::DISCOVER};
use crate::problem::{Answer, Problem};

/// Permission to change what is trusted.
pub const MANAGE: &str = "registry:manage";

/// One registry.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RegistryEntry {
    /// Its name in this portal.
    pub name: String,
    /// Where it is; empty for the bundled one.
    pub url: String,
    /// `bundled`, `folder` or `http`.
    pub kind: String,
    /// Digest of the root that is trusted.
    pub root: String,
    /// How many releases it offers.
    pub releases: usize,
    /// When it was last read, RFC 3339.
    pub refreshed_at: Option<String>,
    /// Why it could not be read.
    pub error: Option<String>,
}

/// Every registry, in the order in which they are asked.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegistryList {
    /// First that knows a package wins.
    pub registries: Vec<RegistryEntry>,
}

/// A registry to trust.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRegistry {
    /// A name for it.
    pub name: String,
    /// Folder or `http(s)` URL.
    pub url: String,
    /// Its `root.json`, brought by the admin, never fetched from what it vouches for.
    #[schema(value_type = Object)]
    pub root: Value,
}

/// Registries that are trusted.
#[utoipa::path(get, path = "/api/portal/registries", tag = "registries", operation_id = "listRegistries",
    responses((status = 200, body = RegistryList), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(core): CoreState, caller: Caller) -> Answer<Json<RegistryList>> {
    caller.need(DISCOVER)?;
    Ok(Json(RegistryList {
        registries: core.registries.entries(),
    }))
}

/// Trusts a registry.
#[utoipa::path(post, path = "/api/portal/registries", tag = "registries", operation_id = "addRegistry", request_body = NewRegistry,
    responses((status = 201, body = RegistryEntry), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn add(
    State(core): CoreState,
    caller: Caller,
    JsonBody(body): JsonBody<NewRegistry>,
) -> Answer<(StatusCode, Json<RegistryEntry>)> {
    caller.need(MANAGE)?;
    let by = caller.ctx.identity.actor.label();
    let entry = core
        .registries
        .trust(caller.tenant(), &body.name, &body.url, &body.root, &by)
        .await?;
    core.control
        .audit(
            &caller.ctx,
            "registry.trust",
            &body.name,
            json!({ "url": body.url, "root": entry.root }),
        )
        .await?;
    Ok((StatusCode::CREATED, Json(entry)))
}

/// Trusts a registry no more. What was installed from it stays.
#[utoipa::path(delete, path = "/api/portal/registries/{name}", tag = "registries", operation_id = "removeRegistry",
    params(("name" = String, Path, description = "Its name")),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn remove(
    State(core): CoreState,
    caller: Caller,
    Path(name): Path<String>,
) -> Answer<StatusCode> {
    caller.need(MANAGE)?;
    core.registries.distrust(caller.tenant(), &name).await?;
    core.control
        .audit(&caller.ctx, "registry.distrust", &name, json!({}))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reads every registry now.
#[utoipa::path(post, path = "/api/portal/registries/refresh", tag = "registries", operation_id = "refreshRegistries",
    responses((status = 200, body = RegistryList), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn refresh(State(core): CoreState, caller: Caller) -> Answer<Json<RegistryList>> {
    caller.need(DISCOVER)?;
    core.registries.refresh_all().await;
    Ok(Json(RegistryList {
        registries: core.registries.entries(),
    }))
}
