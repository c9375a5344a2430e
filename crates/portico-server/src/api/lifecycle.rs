//! Plan, and the six verbs.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use portico_control::{Operation, Submission, operation::OperationState};
use portico_package::{Digest, PackageId, Permission, VersionRange};
use portico_plan::{Request, Verb, inventory::Origin, plan};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::{
    Caller, CoreState, JsonBody,
    microsites::DISCOVER,
    models::{
        ChangeBody, Done, InstallBody, OperationAnswer, PlanAnswer, PlanBody, PreviewQuery,
        status_word,
    },
};
use crate::{
    portal::Core,
    problem::{Answer, Problem},
};

/// What would happen: the plan of one package, by query.
#[utoipa::path(get, path = "/api/portal/microsites/{id}/plan", tag = "microsites", operation_id = "previewPlan",
    params(("id" = String, Path, description = "Package id"), PreviewQuery),
    responses((status = 200, body = PlanAnswer), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn preview(
    State(core): CoreState,
    caller: Caller,
    Path(id): Path<String>,
    Query(query): Query<PreviewQuery>,
) -> Answer<Json<PlanAnswer>> {
    let body = PlanBody {
        verb: query.verb.unwrap_or_else(|| "install".into()),
        microsite_id: id,
        version: query.version,
        registry: query.registry,
        config: None,
        requested_by: None,
    };
    answer_plan(&core, &caller, body)
}

/// What would happen: the plan that approval is about.
#[utoipa::path(post, path = "/api/portal/microsites/plan", tag = "microsites", operation_id = "plan",
    request_body = PlanBody,
    responses((status = 200, body = PlanAnswer), (status = 400, body = Problem), (status = 401, body = Problem), (status = 403, body = Problem)))]
pub(super) async fn plan(
    State(core): CoreState,
    caller: Caller,
    JsonBody(body): JsonBody<PlanBody>,
) -> Answer<Json<PlanAnswer>> {
    answer_plan(&core, &caller, body)
}

fn answer_plan(core: &Arc<Core>, caller: &Caller, body: PlanBody) -> Answer<Json<PlanAnswer>> {
    caller.need(DISCOVER)?;
    let verb = verb_of(&body.verb)?;
    let mut request = request(
        verb,
        &body.microsite_id,
        body.version.as_deref(),
        body.requested_by.as_deref(),
    )?;
    request.registry = body.registry;
    request.config = body.config;
    request.may_grant = caller.may_grant();
    let plan = core.control.plan(caller.tenant(), &request)?;
    let summary = plan::explain(&plan);
    Ok(Json(PlanAnswer {
        executable: plan.refusals.is_empty(),
        summary,
        plan,
    }))
}

/// Installs a package and what it needs.
///
/// Waits until it is live and answers `{"status":"installed"}`; with `Prefer: respond-async` answers 202
/// and the operation. `Idempotency-Key` makes repeats safe.
#[utoipa::path(post, path = "/api/portal/microsites/install", tag = "microsites", operation_id = "install",
    request_body = InstallBody,
    responses((status = 200, body = Done), (status = 202, body = OperationAnswer), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn install(
    State(core): CoreState,
    caller: Caller,
    headers: HeaderMap,
    JsonBody(body): JsonBody<InstallBody>,
) -> Answer<Response> {
    caller.need(Verb::Install.permission())?;
    let (id, version, registry) = match (&body.microsite_id, &body.package_url) {
        (Some(id), None) => (id.clone(), body.version.clone(), body.registry.clone()),
        (None, Some(url)) => by_package_url(&core, url, body.manifest.as_ref())?,
        _ => {
            return Err(Problem::bad_request(
                "send either `microsite_id`, or `manifest` and `package_url`, not both and not neither",
            ));
        }
    };
    let mut request = request(
        Verb::Install,
        &id,
        version.as_deref(),
        body.requested_by.as_deref(),
    )?;
    request.registry = registry;
    request.config = body.config.clone();
    let change = ChangeBody {
        version: None,
        approve: body.approve,
        lock: body.lock,
        generation: body.generation,
        config: None,
        requested_by: None,
        kill: false,
    };
    carry_out(&core, &caller, &headers, request, change).await
}

/// The requirement's form: the URL must name a target that a trusted registry signs, and the manifest
/// that was sent must be of that package.
fn by_package_url(
    core: &Core,
    url: &str,
    manifest: Option<&Value>,
) -> Answer<(String, Option<String>, Option<String>)> {
    let release = core.registries.by_package_url(url).ok_or_else(|| {
        Problem::new(
            400,
            "untrusted-package",
            format!("`{url}` is not a package that a trusted registry signs: add its registry with `portico trust add`, or install by `microsite_id`"),
        )
    })?;
    let id = release.manifest.id.to_string();
    let named = manifest
        .and_then(|m| m.get("microsite").or(Some(m)))
        .and_then(|m| m.get("id"))
        .and_then(Value::as_str);
    if let Some(named) = named.filter(|n| *n != id) {
        return Err(Problem::new(
            422,
            "manifest-mismatch",
            format!("the manifest is of `{named}`, the package at `{url}` is `{id}`"),
        ));
    }
    Ok((
        id,
        Some(format!("={}", release.manifest.version)),
        Some(release.registry.clone()),
    ))
}

/// What a removal may say beside its package: as a query, since many clients send no body with `DELETE`.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct UninstallQuery {
    /// `lock` of the plan that was looked at.
    #[serde(default)]
    lock: Option<String>,
    /// Generation that the caller decided on.
    #[serde(default)]
    generation: Option<u64>,
}

/// Removes a package. Its data stays archived. A JSON body as of the other verbs is read too.
#[utoipa::path(delete, path = "/api/portal/microsites/{id}", tag = "microsites", operation_id = "uninstall",
    params(("id" = String, Path, description = "Package id"), UninstallQuery),
    responses((status = 200, body = Done), (status = 202, body = OperationAnswer), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn uninstall(
    State(core): CoreState,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    Query(query): Query<UninstallQuery>,
    body: Body,
) -> Answer<Response> {
    let said = body.read()?;
    let body = ChangeBody {
        lock: query.lock.or(said.lock),
        generation: query.generation.or(said.generation),
        requested_by: said.requested_by,
        kill: said.kill,
        ..ChangeBody::default()
    };
    change(&core, &caller, &headers, Verb::Uninstall, &id, body).await
}

/// Goes to a newer version.
#[utoipa::path(post, path = "/api/portal/microsites/{id}/upgrade", tag = "microsites", operation_id = "upgrade",
    params(("id" = String, Path, description = "Package id")), request_body = ChangeBody,
    responses((status = 200, body = Done), (status = 202, body = OperationAnswer), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 403, body = Problem), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn upgrade(
    State(core): CoreState,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Answer<Response> {
    change(&core, &caller, &headers, Verb::Upgrade, &id, body.read()?).await
}

/// Goes back to a version that served before. Data is kept.
#[utoipa::path(post, path = "/api/portal/microsites/{id}/rollback", tag = "microsites", operation_id = "rollback",
    params(("id" = String, Path, description = "Package id")), request_body = ChangeBody,
    responses((status = 200, body = Done), (status = 202, body = OperationAnswer), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn rollback(
    State(core): CoreState,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Answer<Response> {
    change(&core, &caller, &headers, Verb::Rollback, &id, body.read()?).await
}

/// Switches a package off; with `kill` also cancels what runs.
#[utoipa::path(post, path = "/api/portal/microsites/{id}/disable", tag = "microsites", operation_id = "disable",
    params(("id" = String, Path, description = "Package id")), request_body = ChangeBody,
    responses((status = 200, body = Done), (status = 202, body = OperationAnswer), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn disable(
    State(core): CoreState,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Answer<Response> {
    change(&core, &caller, &headers, Verb::Disable, &id, body.read()?).await
}

/// Switches a package on again.
#[utoipa::path(post, path = "/api/portal/microsites/{id}/enable", tag = "microsites", operation_id = "enable",
    params(("id" = String, Path, description = "Package id")), request_body = ChangeBody,
    responses((status = 200, body = Done), (status = 202, body = OperationAnswer), (status = 401, body = Problem), (status = 403, body = Problem),
        (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(super) async fn enable(
    State(core): CoreState,
    caller: Caller,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Body,
) -> Answer<Response> {
    change(&core, &caller, &headers, Verb::Enable, &id, body.read()?).await
}

/// An optional JSON body: none at all means all defaults.
pub(super) struct Body(axum::body::Bytes);

impl Body {
    fn read(&self) -> Answer<ChangeBody> {
        if self.0.is_empty() {
            return Ok(ChangeBody::default());
        }
        serde_json::from_slice(&self.0)
            .map_err(|e| Problem::new(422, "invalid-body", e.to_string()))
    }
}

impl<S: Send + Sync> axum::extract::FromRequest<S> for Body {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Problem> {
        axum::body::Bytes::from_request(request, state)
            .await
            .map(Self)
            .map_err(|e| Problem::new(e.status().as_u16(), "invalid-body", e.body_text()))
    }
}

async fn change(
    core: &Arc<Core>,
    caller: &Caller,
    headers: &HeaderMap,
    verb: Verb,
    id: &str,
    body: ChangeBody,
) -> Answer<Response> {
    caller.need(verb.permission())?;
    let mut request = request(
        verb,
        id,
        body.version.as_deref(),
        body.requested_by.as_deref(),
    )?;
    request.config = body.config.clone();
    carry_out(core, caller, headers, request, body).await
}

async fn carry_out(
    core: &Arc<Core>,
    caller: &Caller,
    headers: &HeaderMap,
    request: Request,
    body: ChangeBody,
) -> Answer<Response> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let approve: BTreeSet<Permission> = body
        .approve
        .into_iter()
        .flatten()
        .map(|p| {
            p.parse()
                .map_err(|e| Problem::bad_request(format!("approve: {e}")))
        })
        .collect::<Result<_, _>>()?;
    let lock = body
        .lock
        .as_deref()
        .map(str::parse::<Digest>)
        .transpose()
        .map_err(|e| Problem::bad_request(format!("lock: {e}")))?;
    let idempotency = text("idempotency-key").map(|key| {
        let said = serde_json::to_vec(&(&request, &approve, lock)).unwrap_or_default();
        (key.to_owned(), Digest::of(&said))
    });
    let submission = Submission {
        request,
        approve,
        lock,
        generation: body.generation,
        idempotency,
        kill: body.kill,
    };
    let asynchronous =
        text("prefer").is_some_and(|p| p.split([',', ';']).any(|w| w.trim() == "respond-async"));
    let operation = core.control.submit(&caller.ctx, submission).await?;
    if asynchronous {
        return Ok(accepted(&operation));
    }
    let operation = core
        .control
        .wait(caller.tenant(), &operation.id, core.options.wait)
        .await?;
    answer(&operation)
}

fn accepted(operation: &Operation) -> Response {
    let location = format!("/api/portal/operations/{}", operation.id);
    let mut response =
        (StatusCode::ACCEPTED, Json(OperationAnswer::from(operation))).into_response();
    if let Ok(value) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// The answer to somebody who waited.
fn answer(operation: &Operation) -> Answer<Response> {
    match (operation.state, &operation.error) {
        (OperationState::Succeeded, _) => {
            let view = OperationAnswer::from(operation);
            Ok(Json(Done {
                status: status_word(operation.verb()).into(),
                microsite_id: view.microsite_id,
                version: view.version,
                generation: view.generation,
                operation_id: view.id,
            })
            .into_response())
        }
        (OperationState::Failed, Some(error)) => {
            let problem = Problem::new(error.status, &error.code, error.message.clone());
            let (step, id) = (&error.step, &operation.id);
            Err(problem.with("operation_id", id).with("step", step))
        }
        _ => Ok(accepted(operation)),
    }
}

fn verb_of(word: &str) -> Answer<Verb> {
    serde_json::from_value(Value::String(word.to_owned())).map_err(|_| {
        Problem::bad_request(format!(
            "`{word}` is not a verb: use install, upgrade, rollback, disable, enable or uninstall"
        ))
    })
}

fn request(
    verb: Verb,
    id: &str,
    version: Option<&str>,
    requested_by: Option<&str>,
) -> Answer<Request> {
    let package: PackageId = id
        .parse()
        .map_err(|e| Problem::bad_request(format!("microsite_id: {e}")))?;
    let version = version
        .filter(|v| !v.is_empty())
        .map(exact_or_range)
        .transpose()
        .map_err(|e| Problem::bad_request(format!("version: {e}")))?;
    let requested_by = requested_by
        .filter(|v| !v.is_empty())
        .map(str::parse)
        .transpose()
        .map_err(|e| Problem::bad_request(format!("requested_by: {e}")))?;
    Ok(Request {
        verb,
        package,
        version,
        registry: None,
        config: None,
        requested_by,
        may_grant: false,
        origin: Origin::Installed,
        mount: None,
        overrides: None,
    })
}

/// A person who writes `2.1.0` means just that version; in a manifest it would be a caret range.
fn exact_or_range(text: &str) -> Result<VersionRange, portico_package::version::InvalidRange> {
    if portico_package::Version::parse(text).is_ok() {
        format!("={text}").parse()
    } else {
        text.parse()
    }
}
