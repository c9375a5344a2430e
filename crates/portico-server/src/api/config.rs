//! What browsers draw the portal from, and reading the configuration file again.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use portico_package::Digest;
use portico_plan::snapshot::NavigationEntry;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Caller, CoreState};
use crate::{
    problem::{Answer, Problem},
    reload,
};

/// What a browser draws the portal from.
#[derive(Debug, Serialize, ToSchema)]
pub struct PortalConfig {
    /// `portal:` of the configuration.
    pub portal: PortalIdentity,
    /// `branding:` of the configuration.
    pub branding: BrandingAnswer,
    /// Generation of the navigation.
    pub generation: u64,
    /// What the person may see, in order.
    #[schema(value_type = Vec<Object>)]
    pub navigation: Vec<NavigationEntry>,
    /// Who asks.
    pub user: UserAnswer,
}

/// The portal.
#[derive(Debug, Serialize, ToSchema)]
pub struct PortalIdentity {
    /// Its name.
    pub name: String,
    /// Its operator's version.
    pub version: String,
    /// `core`, `custom` or `saas`.
    #[serde(rename = "type")]
    pub type_: String,
}

/// How it looks.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct BrandingAnswer {
    /// URL.
    pub logo: Option<String>,
    /// URL.
    pub favicon: Option<String>,
    /// CSS colour.
    pub primary_color: Option<String>,
    /// Company.
    pub company_name: Option<String>,
}

/// The person.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserAnswer {
    /// `user:…` or `token:…`.
    pub id: String,
    /// Name.
    pub name: String,
    /// What they may do.
    pub permissions: Vec<String>,
}

/// Navigation, branding and the person, as `<sz-nav>` needs them.
#[utoipa::path(get, path = "/api/portal/config", tag = "portal", operation_id = "getPortalConfig",
    responses((status = 200, body = PortalConfig), (status = 304), (status = 401, body = Problem)))]
pub(super) async fn get(
    State(core): CoreState,
    caller: Caller,
    headers: HeaderMap,
) -> Answer<Response> {
    if !caller.ctx.identity.is_signed_in() {
        return Err(Problem::unauthorized());
    }
    let tenant = core.tenant_snapshot(caller.tenant())?;
    let settings = core.settings.load();
    let identity = &caller.ctx.identity;
    let language = caller.ctx.languages.first().map_or("en", String::as_str);
    let navigation = tenant
        .navigation
        .iter()
        .filter(|e| e.permission.as_deref().is_none_or(|p| caller.may(p)))
        .map(|entry| NavigationEntry {
            name: entry.name_in(language).to_owned(),
            ..NavigationEntry::clone(entry)
        })
        .collect();
    let body = PortalConfig {
        portal: PortalIdentity {
            name: settings.name.clone(),
            version: settings.version.clone(),
            type_: settings.portal_type.clone(),
        },
        branding: BrandingAnswer {
            logo: settings.branding.logo.clone(),
            favicon: settings.branding.favicon.clone(),
            primary_color: settings.branding.primary_color.clone(),
            company_name: settings.branding.company_name.clone(),
        },
        generation: tenant.generation,
        navigation,
        user: UserAnswer {
            id: identity.actor.label(),
            name: identity.name.clone(),
            permissions: identity.permissions.iter().cloned().collect(),
        },
    };
    let bytes = serde_json::to_vec(&body).unwrap_or_default();
    let etag = format!("\"{}\"", &Digest::of(&bytes).hex()[..16]);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|v| v.as_bytes() == etag.as_bytes());
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
    };
    if let Ok(value) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response.headers_mut().insert(
        header::VARY,
        HeaderValue::from_static("Accept-Language, Cookie, Authorization"),
    );
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    Ok(response)
}

/// What reading the file again changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    /// Keys that differ, with before and after.
    #[schema(value_type = Vec<Object>)]
    pub changed: Vec<Value>,
    /// Keys that differ and need a restart.
    pub needs_restart: Vec<String>,
    /// Packages of the configuration that changed.
    pub packages: Vec<String>,
    /// Packages of the configuration that could not be changed, with the reason.
    #[schema(value_type = Vec<Object>)]
    pub failed: Vec<Value>,
    /// What the file asks for that this build does not do.
    pub unsupported: Vec<String>,
}

/// Reads the configuration file again. With `?dry_run=true` only shows the difference.
#[utoipa::path(post, path = "/api/portal/config/reload", tag = "portal", operation_id = "reloadConfig",
    params(("dry_run" = Option<bool>, Query, description = "Only show the difference")),
    responses((status = 200, body = Reloaded), (status = 401, body = Problem), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn reload(
    State(core): CoreState,
    caller: Caller,
    query: axum::extract::Query<std::collections::BTreeMap<String, String>>,
) -> Answer<Json<Reloaded>> {
    caller.need("portal:configure")?;
    let dry_run = query
        .get("dry_run")
        .is_some_and(|v| v == "true" || v == "1");
    Ok(Json(reload::reload(&core, dry_run).await?))
}
