//! Operations to and from the store.

use portico_host::Timestamp;
use portico_package::{Digest, Permission};
use portico_plan::{Plan, TenantId, Verb, plan::Action};
use portico_store::{
    AuditRow, Inserted, Progress, StoreError, Tx, operations::OperationState as Stored,
};
use serde_json::{Value, json};

use crate::{
    ControlError, Operation,
    operation::{OperationBody, OperationState},
};

/// Where the body of an operation stands beside its plan.
const BODY: &str = "execution";

pub(crate) async fn insert(
    tx: &mut Tx,
    operation: &Operation,
    actor: &str,
    idempotency: Option<&(String, Digest)>,
) -> Result<Operation, ControlError> {
    // The plan stands open, so that what it needs is found without knowing the rest.
    let mut plan = serde_json::to_value(&operation.body.plan).map_err(unwritable)?;
    plan[BODY] = serde_json::to_value(&operation.body).map_err(unwritable)?;
    let name = operation
        .body
        .plan
        .changes
        .iter()
        .find(|c| c.package == *operation.package())
        .map_or_else(
            || operation.package().to_string(),
            |c| c.name.as_str().to_owned(),
        );
    let row = portico_store::Operation {
        id: operation.id.clone(),
        actor: actor.to_owned(),
        idempotency_key: idempotency.map(|(key, _)| key.clone()),
        request_digest: idempotency.map_or_else(
            || Digest::of(operation.id.as_bytes()),
            |(_, digest)| *digest,
        ),
        request_id: operation.body.request_id.clone(),
        verb: operation.verb(),
        package: operation.package().clone(),
        name,
        state: Stored::Queued,
        plan,
        approved: operation.body.approved.clone(),
        steps: json!(operation.steps),
        error: None,
        generation: None,
        created_at: operation.created_at,
        updated_at: operation.updated_at,
    };
    match tx.operation_insert(&operation.tenant, &row).await {
        Ok(Inserted::New) => Ok(operation.clone()),
        Ok(Inserted::Existing(earlier)) => read(&operation.tenant, *earlier),
        Err(StoreError::IdempotencyMismatch { key }) => Err(ControlError::IdempotencyMismatch(key)),
        Err(error) => Err(error.into()),
    }
}

/// The operation that an earlier request with the same idempotency key made.
pub(crate) async fn by_key(
    tx: &mut Tx,
    tenant: &TenantId,
    actor: &str,
    key: &str,
    digest: &Digest,
) -> Result<Option<Operation>, ControlError> {
    let Some(earlier) = tx.operation_by_key(tenant, actor, key).await? else {
        return Ok(None);
    };
    if earlier.request_digest != *digest {
        return Err(ControlError::IdempotencyMismatch(key.to_owned()));
    }
    read(tenant, earlier).map(Some)
}

pub(crate) async fn get(
    tx: &mut Tx,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<Operation>, ControlError> {
    tx.operation_get(tenant, id)
        .await?
        .map(|row| read(tenant, row))
        .transpose()
}

pub(crate) async fn list(
    tx: &mut Tx,
    tenant: &TenantId,
    limit: u32,
) -> Result<Vec<Operation>, ControlError> {
    let rows = tx.operation_list(tenant, None, limit).await?;
    rows.into_iter().map(|row| read(tenant, row)).collect()
}

pub(crate) async fn oldest_pending(
    tx: &mut Tx,
    tenant: &TenantId,
) -> Result<Option<Operation>, ControlError> {
    let pending = tx.operation_pending(tenant).await?;
    pending
        .into_iter()
        .next()
        .map(|row| read(tenant, row))
        .transpose()
}

/// Whether a kill switch waits for a package that `operation` would bring or change.
pub(crate) async fn killed(tx: &mut Tx, operation: &Operation) -> Result<bool, ControlError> {
    let touched: Vec<_> = operation
        .body
        .plan
        .changes
        .iter()
        .map(|c| &c.package)
        .collect();
    let pending = tx.operation_pending(&operation.tenant).await?;
    Ok(pending.iter().any(|other| {
        other.id != operation.id
            && other.verb == Verb::Disable
            && touched.contains(&&other.package)
            && other
                .plan
                .get(BODY)
                .and_then(|b| b.get("kill"))
                .and_then(Value::as_bool)
                == Some(true)
    }))
}

pub(crate) async fn update(tx: &mut Tx, operation: &Operation) -> Result<(), ControlError> {
    let steps = json!(operation.steps);
    let error = operation.error.as_ref().map(|e| json!(e));
    let progress = Progress {
        state: match operation.state {
            OperationState::Queued => Stored::Queued,
            OperationState::Running => Stored::Running,
            OperationState::Succeeded => Stored::Succeeded,
            OperationState::Failed => Stored::Failed,
        },
        steps: &steps,
        error: error.as_ref(),
        generation: operation.generation,
    };
    Ok(tx
        .operation_update(
            &operation.tenant,
            &operation.id,
            progress,
            operation.updated_at,
        )
        .await?)
}

/// What was done and granted, one record per package.
pub(crate) async fn audit_activation(
    tx: &mut Tx,
    operation: &Operation,
    plan: &Plan,
    approved: &std::collections::BTreeSet<Permission>,
    generation: u64,
    now: Timestamp,
) -> Result<(), ControlError> {
    for change in &plan.changes {
        let word = match change.action {
            Action::Install => "install",
            Action::Upgrade => "upgrade",
            Action::Rollback => "rollback",
            Action::Disable => "disable",
            Action::Enable => "enable",
            Action::Remove => "uninstall",
        };
        let granted: Vec<_> = change
            .permissions
            .iter()
            .map(|p| &p.permission)
            .filter(|p| approved.contains(*p))
            .collect();
        let detail = json!({
            "by": operation.body.actor_name,
            "detail": {
                "from": change.from.as_ref().map(ToString::to_string),
                "version": change.version.to_string(),
                "digest": change.digest,
                "registry": change.registry,
                "granted": granted,
                "requested_by": operation.body.request.requested_by,
                "generation": generation,
                "operation": operation.id,
            },
        });
        let row = AuditRow {
            actor: operation.body.actor.clone(),
            action: format!("microsite.{word}"),
            subject: change.package.to_string(),
            detail,
            request_id: operation.body.request_id.clone(),
            at: now,
        };
        tx.audit_append(&operation.tenant, &row).await?;
    }
    Ok(())
}

fn read(tenant: &TenantId, row: portico_store::Operation) -> Result<Operation, ControlError> {
    let body = row.plan.get(BODY).cloned().unwrap_or(Value::Null);
    let body: OperationBody = serde_json::from_value(body).map_err(|e| damaged(&row.id, &e))?;
    Ok(Operation {
        tenant: tenant.clone(),
        state: match row.state {
            Stored::Queued => OperationState::Queued,
            Stored::Running => OperationState::Running,
            Stored::Succeeded => OperationState::Succeeded,
            Stored::Failed => OperationState::Failed,
        },
        body,
        steps: serde_json::from_value(row.steps).map_err(|e| damaged(&row.id, &e))?,
        error: row
            .error
            .map(serde_json::from_value)
            .transpose()
            .map_err(|e| damaged(&row.id, &e))?,
        generation: row.generation,
        created_at: row.created_at,
        updated_at: row.updated_at,
        id: row.id,
    })
}

fn damaged(id: &str, error: &serde_json::Error) -> ControlError {
    StoreError::Corrupt {
        what: format!("the operation {id}"),
        reason: error.to_string(),
    }
    .into()
}

fn unwritable(error: serde_json::Error) -> ControlError {
    ControlError::step(
        "internal",
        format!("the plan cannot be written down: {error}"),
    )
}
