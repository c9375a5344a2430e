//! What is installed, and what could be.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use portico_host::clock::rfc3339;
use portico_package::{PackageId, Release, permission::describe};
use portico_plan::{Inventory, inventory::State as Lifecycle};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    Caller, CoreState,
    models::{
        Available, AvailableEntry, CategoryCount, InstallationList, MicrositeDetail,
        PermissionEntry, RequirementEntry, RequirementList, UnreachableRegistry, VersionEntry,
        dependents, icon_before, installation,
    },
};
use crate::{
    api::audit::entries,
    problem::{Answer, Problem},
};

/// Permission to see what is installed and what could be.
pub const DISCOVER: &str = "microsite:discover";

/// What is installed.
#[utoipa::path(get, path = "/api/portal/microsites", tag = "microsites", operation_id = "listMicrosites",
    responses((status = 200, body = InstallationList), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn list(State(core): CoreState, caller: Caller) -> Answer<Json<InstallationList>> {
    caller.need(DISCOVER)?;
    let inventory = core.inventory(caller.tenant())?;
    let mut installed: Vec<_> = inventory
        .installed
        .values()
        .map(|i| installation(i, core.registries.newest(&i.release.manifest.id).as_deref()))
        .collect();
    installed.sort_by_key(|i| i.name.to_lowercase());
    Ok(Json(InstallationList {
        generation: inventory.generation,
        installed,
    }))
}

/// Filters of the catalogue.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AvailableQuery {
    /// Words to look for.
    #[serde(default)]
    q: String,
    /// Only this category.
    #[serde(default)]
    category: Option<String>,
    /// `installed` or `updates`: only those.
    #[serde(default)]
    only: Option<String>,
    /// Where the page before ended.
    #[serde(default)]
    cursor: Option<String>,
    /// At most so many; 60 when missing, 200 at most.
    #[serde(default)]
    limit: Option<usize>,
}

/// What could be installed: the catalogue over all trusted registries.
#[utoipa::path(get, path = "/api/portal/microsites/available", tag = "microsites", operation_id = "listAvailable",
    params(AvailableQuery),
    responses((status = 200, body = Available), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn available(
    State(core): CoreState,
    caller: Caller,
    Query(query): Query<AvailableQuery>,
) -> Answer<Json<Available>> {
    caller.need(DISCOVER)?;
    let inventory = core.inventory(caller.tenant())?;
    let limit = query.limit.unwrap_or(60).clamp(1, 200);
    let category = query.category.as_deref().filter(|c| !c.is_empty());
    let found = core
        .registries
        .search(&query.q, category, query.cursor.as_deref(), limit);
    let is_update = |r: &Release| {
        inventory
            .installed
            .get(&r.manifest.id)
            .is_some_and(|i| i.release.manifest.version < r.manifest.version)
    };
    let available = found
        .releases
        .iter()
        .filter(|r| match query.only.as_deref() {
            Some("installed") => inventory.installed.contains_key(&r.manifest.id),
            Some("updates") => is_update(r),
            _ => true,
        })
        .map(|r| entry(r, &inventory))
        .collect();
    let updates = inventory
        .installed
        .keys()
        .filter(|id| core.registries.newest(id).is_some_and(|r| is_update(&r)))
        .count();
    Ok(Json(Available {
        available,
        installed: inventory
            .installed
            .keys()
            .map(ToString::to_string)
            .collect(),
        categories: core
            .registries
            .categories()
            .into_iter()
            .map(|(name, count)| CategoryCount { name, count })
            .collect(),
        next: found.next,
        updates,
        unreachable: core
            .registries
            .unreachable()
            .into_iter()
            .map(|(name, reason)| UnreachableRegistry { name, reason })
            .collect(),
    }))
}

fn entry(release: &Release, inventory: &Inventory) -> AvailableEntry {
    let manifest = &release.manifest;
    let installed = inventory.installed.get(&manifest.id);
    let state = match installed {
        None => "available",
        Some(i) if i.state == Lifecycle::Disabled => "disabled",
        Some(i) if i.release.manifest.version < manifest.version => "update",
        Some(_) => "installed",
    };
    AvailableEntry {
        id: manifest.id.to_string(),
        name: manifest.name.as_str().to_owned(),
        description: manifest.description.as_str().to_owned(),
        icon: icon_before(release, inventory),
        version: manifest.version.to_string(),
        author: manifest.author.clone(),
        license: manifest.license.clone(),
        registry: release.registry.clone(),
        publisher: release.publisher.clone(),
        categories: manifest.categories.clone(),
        size: release.size,
        state: state.into(),
        installed_version: installed.map(|i| i.release.manifest.version.to_string()),
    }
}

/// Everything about one package, installed or not.
#[utoipa::path(get, path = "/api/portal/microsites/{id}", tag = "microsites", operation_id = "getMicrosite",
    params(("id" = String, Path, description = "Package id")),
    responses((status = 200, body = MicrositeDetail), (status = 401, body = Problem), (status = 403, body = Problem), (status = 404, body = Problem)))]
pub(super) async fn detail(
    State(core): CoreState,
    caller: Caller,
    Path(id): Path<String>,
) -> Answer<Json<MicrositeDetail>> {
    caller.need(DISCOVER)?;
    let id: PackageId = id.parse().map_err(|_| Problem::not_found("package", &id))?;
    let inventory = core.inventory(caller.tenant())?;
    let installed = inventory.installed.get(&id);
    let releases = core.registries.releases(&id);
    let shown: Arc<Release> = installed
        .map(|i| Arc::clone(&i.release))
        .or_else(|| releases.first().cloned())
        .ok_or_else(|| Problem::not_found("package", id.as_str()))?;
    let manifest = &shown.manifest;
    let history = if caller.may("audit:read") {
        let mut tx = core.control.store().read().await?;
        entries(
            tx.audit_list(caller.tenant(), Some(id.as_str()), None, 20)
                .await?,
        )
    } else {
        Vec::new()
    };
    let permissions = manifest
        .permissions
        .iter()
        .map(|p| {
            let (group, summary) = describe(&p.permission);
            PermissionEntry {
                permission: p.permission.to_string(),
                summary,
                group: group.to_string(),
                reason: p.reason.as_ref().map(|r| r.as_str().to_owned()),
                optional: p.optional,
                granted: installed.is_some_and(|i| i.grants.contains(&p.permission)),
            }
        })
        .collect();
    Ok(Json(MicrositeDetail {
        id: id.to_string(),
        name: manifest.name.as_str().to_owned(),
        description: manifest.description.as_str().to_owned(),
        icon: icon_before(&shown, &inventory),
        author: manifest.author.clone(),
        license: manifest.license.clone(),
        homepage: manifest.homepage.clone(),
        categories: manifest.categories.clone(),
        versions: releases
            .iter()
            .map(|r| VersionEntry {
                version: r.manifest.version.to_string(),
                registry: r.registry.clone(),
                size: r.size,
                digest: r.digest.to_string(),
                publisher: r.publisher.clone(),
                installed: installed.is_some_and(|i| i.release.digest == r.digest),
            })
            .collect(),
        installed: installed.map(|i| installation(i, releases.first().map(AsRef::as_ref))),
        permissions,
        requires: RequirementList {
            platform_version: manifest
                .requires
                .platform_version
                .as_ref()
                .map(ToString::to_string),
            component_libraries: manifest
                .requires
                .component_libraries
                .iter()
                .map(|(name, range)| (name.clone(), range.to_string()))
                .collect(),
            microsites: manifest
                .requires
                .microsites
                .iter()
                .map(|(id, range)| RequirementEntry {
                    id: id.to_string(),
                    range: range.to_string(),
                    installed_version: inventory
                        .installed
                        .get(id)
                        .map(|i| i.release.manifest.version.to_string()),
                })
                .collect(),
        },
        dependents: dependents(&inventory, &id),
        routes: routes(&shown, installed.map(|i| i.mount.as_str())),
        history,
    }))
}

fn routes(release: &Release, mount: Option<&str>) -> Vec<String> {
    let manifest = &release.manifest;
    let fallback = format!("/plugins/{}", manifest.id);
    let mount = mount.or(manifest.path.as_deref()).unwrap_or(&fallback);
    manifest
        .effective_pages()
        .iter()
        .map(|p| {
            if p.path == "/" {
                mount.to_owned()
            } else {
                format!("{mount}{}", p.path)
            }
        })
        .collect()
}

/// A timestamp as the API writes it.
pub(super) fn at(micros: i64) -> String {
    rfc3339(micros)
}
