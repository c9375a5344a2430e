//! API tokens.

use std::collections::BTreeSet;

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use portico_plan::can;
use portico_store::Token;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Caller, CoreState, JsonBody, microsites::at};
use crate::problem::{Answer, Problem};

/// Permission to see, make and revoke tokens.
pub const MANAGE: &str = "token:manage";

/// A token, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenEntry {
    /// Its id.
    pub id: String,
    /// Name given to it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// Until when it is good, RFC 3339.
    pub expires_at: Option<String>,
}

/// Every token.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    /// By age.
    pub tokens: Vec<TokenEntry>,
}

/// What to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// A name to recognise it by.
    pub name: String,
    /// What it may do; never more than its maker.
    pub scopes: BTreeSet<String>,
    /// Days until it ends; never when missing.
    #[serde(default)]
    pub expires_in_days: Option<u32>,
}

/// A fresh token: the only time its secret is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct FreshToken {
    /// The token.
    #[serde(flatten)]
    pub token: TokenEntry,
    /// The secret, `ptc_…`.
    pub secret: String,
}

fn entry(row: &Token) -> TokenEntry {
    TokenEntry {
        id: row.id.clone(),
        name: row.name.clone(),
        scopes: row.scopes.clone(),
        created_at: at(row.created_at),
        created_by: row.created_by.clone(),
        expires_at: row.expires_at.map(at),
    }
}

/// API tokens.
#[utoipa::path(get, path = "/api/portal/tokens", tag = "access", operation_id = "listTokens",
    responses((status = 200, body = TokenList), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(core): CoreState, caller: Caller) -> Answer<Json<TokenList>> {
    caller.need(MANAGE)?;
    let rows = core.people.tokens(caller.tenant()).await?;
    Ok(Json(TokenList {
        tokens: rows.iter().map(entry).collect(),
    }))
}

/// Makes an API token.
#[utoipa::path(post, path = "/api/portal/tokens", tag = "access", operation_id = "createToken", request_body = NewToken,
    responses((status = 201, body = FreshToken), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn create(
    State(core): CoreState,
    caller: Caller,
    JsonBody(body): JsonBody<NewToken>,
) -> Answer<(StatusCode, Json<FreshToken>)> {
    caller.need(MANAGE)?;
    if let Some(more) = body
        .scopes
        .iter()
        .find(|s| !can(&caller.ctx.identity.permissions, s))
    {
        return Err(Problem::new(
            403,
            "scope-exceeds-own",
            format!("a token cannot be given `{more}`: you do not have it yourself"),
        ));
    }
    let expires = body
        .expires_in_days
        .map(|days| core.clock.now() + i64::from(days) * 86_400_000_000);
    let by = caller.ctx.identity.actor.label();
    let (row, secret) = core
        .people
        .make_token(caller.tenant(), &body.name, body.scopes, expires, &by)
        .await?;
    core.control
        .audit(
            &caller.ctx,
            "token.create",
            &row.id,
            json!({ "name": row.name, "scopes": row.scopes }),
        )
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(FreshToken {
            token: entry(&row),
            secret: secret.clear,
        }),
    ))
}

/// Takes an API token away; it ends at once.
#[utoipa::path(delete, path = "/api/portal/tokens/{id}", tag = "access", operation_id = "revokeToken",
    params(("id" = String, Path, description = "Token id")),
    responses((status = 204), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn revoke(
    State(core): CoreState,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<StatusCode> {
    caller.need(MANAGE)?;
    if !core.people.revoke_token(caller.tenant(), &id).await? {
        return Err(Problem::not_found("token", &id));
    }
    core.hubs.of(caller.tenant()).recheck();
    core.control
        .audit(&caller.ctx, "token.revoke", &id, json!({}))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
