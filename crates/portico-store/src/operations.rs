//! Operations: what was approved, and how far it got.

use std::{collections::BTreeSet, fmt, str::FromStr};

use portico_package::{Digest, PackageId, Permission};
use portico_plan::{TenantId, Verb};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    StoreError, Tx,
    codec::{count, from_json, from_word, json, parsed, word},
    dialect::{args, statements},
};

/// How an operation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationState {
    /// Waits for its turn.
    Queued,
    /// Under way.
    Running,
    /// Done.
    Succeeded,
    /// Given up; may be tried again.
    Failed,
}

/// An operation, as it is inserted and as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// Its id, from [`crate::new_id`].
    pub id: String,
    /// Who approved it ([`portico_plan::access::Actor::label`]).
    pub actor: String,
    /// What makes a repeated request of the same actor the same operation.
    pub idempotency_key: Option<String>,
    /// Digest of the request, to tell a repeat from another request under the same key.
    pub request_digest: Digest,
    /// The request that asked for it.
    pub request_id: String,
    /// What is done.
    pub verb: Verb,
    /// With which package.
    pub package: PackageId,
    /// Name of the package that people read.
    pub name: String,
    /// How it stands.
    pub state: OperationState,
    /// The approved plan ([`portico_plan::Plan`]).
    pub plan: Value,
    /// The approved permissions.
    pub approved: BTreeSet<Permission>,
    /// Its steps and how each stands; the control plane gives this its form.
    pub steps: Value,
    /// Why it failed.
    pub error: Option<Value>,
    /// The generation that it made.
    pub generation: Option<u64>,
    /// When it was approved: microseconds since 1970, UTC.
    pub created_at: i64,
    /// When it last changed: microseconds since 1970, UTC.
    pub updated_at: i64,
}

/// What changes while an operation runs.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// How it stands now.
    pub state: OperationState,
    /// Its steps and how each stands.
    pub steps: &'a Value,
    /// Why it failed; `None` clears it.
    pub error: Option<&'a Value>,
    /// The generation that it made.
    pub generation: Option<u64>,
}

/// What [`Tx::operation_insert`] found.
#[derive(Clone, Debug, PartialEq)]
pub enum Inserted {
    /// It is new.
    New,
    /// The same request came before; this is its operation.
    Existing(Box<Operation>),
}

/// A place in a list that is sorted newest first: the next page continues below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Time of the last entry seen.
    pub at: i64,
    /// Its id.
    pub id: String,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at, self.id)
    }
}

/// The text is not one that [`Cursor`] printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor that an earlier page gave")]
pub struct InvalidCursor;

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(s: &str) -> Result<Self, InvalidCursor> {
        let (at, id) = s.split_once('.').ok_or(InvalidCursor)?;
        // A zero byte is text that PostgreSQL cannot take.
        if id.is_empty() || id.len() > 64 || id.contains('\0') {
            return Err(InvalidCursor);
        }
        Ok(Self {
            at: at.parse().map_err(|_| InvalidCursor)?,
            id: id.to_owned(),
        })
    }
}

statements! {
    INSERT = "INSERT INTO operations (tenant, id, actor, idempotency_key, request_digest, request_id, verb, package, name,
            state, plan, approved, steps, error, generation, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
        ON CONFLICT (tenant, actor, idempotency_key) DO NOTHING";
    BY_KEY = "SELECT id, actor, idempotency_key, request_digest, request_id, verb, package, name, state, plan, approved,
            steps, error, generation, created_at, updated_at
        FROM operations WHERE tenant = $1 AND actor = $2 AND idempotency_key = $3";
    GET = "SELECT id, actor, idempotency_key, request_digest, request_id, verb, package, name, state, plan, approved,
            steps, error, generation, created_at, updated_at
        FROM operations WHERE tenant = $1 AND id = $2";
    LIST = "SELECT id, actor, idempotency_key, request_digest, request_id, verb, package, name, state, plan, approved,
            steps, error, generation, created_at, updated_at
        FROM operations WHERE tenant = $1 AND (created_at < $2 OR (created_at = $2 AND id < $3))
        ORDER BY created_at DESC, id DESC LIMIT $4";
    PENDING = "SELECT id, actor, idempotency_key, request_digest, request_id, verb, package, name, state, plan, approved,
            steps, error, generation, created_at, updated_at
        FROM operations WHERE tenant = $1 AND state IN ('queued', 'running') ORDER BY created_at, id";
    UPDATE = "UPDATE operations SET state = $3, steps = $4, error = $5, generation = $6, updated_at = $7
        WHERE tenant = $1 AND id = $2";
    COUNT_FAILED = "SELECT COUNT(*) FROM operations WHERE tenant = $1 AND state = 'failed' AND created_at >= $2";
    PLANS = "SELECT plan FROM operations WHERE tenant = $1 AND state IN ('queued', 'running')";
    PLANS_OF_ALL = "SELECT plan FROM operations WHERE state IN ('queued', 'running')";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    actor: String,
    idempotency_key: Option<String>,
    request_digest: String,
    request_id: String,
    verb: String,
    package: String,
    name: String,
    state: String,
    plan: String,
    approved: String,
    steps: String,
    error: Option<String>,
    generation: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<Row> for Operation {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let what = format!("the operation {}", row.id);
        Ok(Self {
            actor: row.actor,
            idempotency_key: row.idempotency_key,
            request_digest: parsed(&what, &row.request_digest)?,
            request_id: row.request_id,
            verb: from_word(&what, &row.verb)?,
            package: parsed(&what, &row.package)?,
            name: row.name,
            state: from_word(&what, &row.state)?,
            plan: from_json(&what, &row.plan)?,
            approved: from_json(&what, &row.approved)?,
            steps: from_json(&what, &row.steps)?,
            error: row
                .error
                .as_deref()
                .map(|e| from_json(&what, e))
                .transpose()?,
            generation: row.generation.map(|g| count(&what, g)).transpose()?,
            created_at: row.created_at,
            updated_at: row.updated_at,
            id: row.id,
        })
    }
}

impl Tx {
    /// Records an operation, unless the same actor already sent the same request under the same idempotency key.
    ///
    /// # Errors
    /// [`StoreError::IdempotencyMismatch`] when the key was used for another request.
    pub async fn operation_insert(
        &mut self,
        t: &TenantId,
        op: &Operation,
    ) -> Result<Inserted, StoreError> {
        let row = args![
            t,
            &op.id,
            &op.actor,
            op.idempotency_key.as_deref(),
            op.request_digest,
            &op.request_id,
            word(op.verb)?,
            &op.package,
            &op.name,
            word(op.state)?,
            json("a plan", &op.plan)?,
            json("permissions", &op.approved)?,
            json("steps", &op.steps)?,
            op.error.as_ref().map(|e| json("an error", e)).transpose()?,
            op.generation,
            op.created_at,
            op.updated_at,
        ];
        if self.conn.execute(INSERT, row).await? == 1 {
            return Ok(Inserted::New);
        }
        let key = op.idempotency_key.as_deref().unwrap_or_default();
        let found = self
            .operation_by_key(t, &op.actor, key)
            .await?
            .ok_or_else(|| StoreError::Busy("an operation went while it was looked at".into()))?;
        if found.request_digest == op.request_digest {
            Ok(Inserted::Existing(Box::new(found)))
        } else {
            Err(StoreError::IdempotencyMismatch {
                key: key.to_owned(),
            })
        }
    }

    /// One operation.
    pub async fn operation_get(
        &mut self,
        t: &TenantId,
        id: &str,
    ) -> Result<Option<Operation>, StoreError> {
        self.conn
            .optional::<Row>(GET, args![t, id])
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// The operation that an actor asked for under an idempotency key.
    pub async fn operation_by_key(
        &mut self,
        t: &TenantId,
        actor: &str,
        key: &str,
    ) -> Result<Option<Operation>, StoreError> {
        self.conn
            .optional::<Row>(BY_KEY, args![t, actor, key])
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// The newest `limit` operations below `after`, newest first.
    pub async fn operation_list(
        &mut self,
        t: &TenantId,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<Operation>, StoreError> {
        let (at, id) = seek(after);
        let rows: Vec<Row> = self
            .conn
            .all(LIST, args![t, at, id, i64::from(limit)])
            .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Operations that are queued or running, oldest first.
    pub async fn operation_pending(&mut self, t: &TenantId) -> Result<Vec<Operation>, StoreError> {
        let rows: Vec<Row> = self.conn.all(PENDING, args![t]).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Records how far an operation got.
    pub async fn operation_update(
        &mut self,
        t: &TenantId,
        id: &str,
        progress: Progress<'_>,
        now: i64,
    ) -> Result<(), StoreError> {
        let row = args![
            t,
            id,
            word(progress.state)?,
            json("steps", progress.steps)?,
            progress.error.map(|e| json("an error", e)).transpose()?,
            progress.generation,
            now,
        ];
        match self.conn.execute(UPDATE, row).await? {
            0 => Err(StoreError::NotFound(format!("operation {id}"))),
            _ => Ok(()),
        }
    }

    /// How many operations created at or after `since` (microseconds) have failed.
    pub async fn operation_count_failed(
        &mut self,
        t: &TenantId,
        since: i64,
    ) -> Result<u64, StoreError> {
        let row: Option<(i64,)> = self.conn.optional(COUNT_FAILED, args![t, since]).await?;
        count("a count", row.map_or(0, |(n,)| n))
    }

    /// Digests that the plans of pending operations name.
    pub(crate) async fn operation_digests(
        &mut self,
        t: Option<&TenantId>,
    ) -> Result<BTreeSet<Digest>, StoreError> {
        let rows: Vec<(String,)> = match t {
            Some(t) => self.conn.all(PLANS, args![t]).await?,
            None => self.conn.all(PLANS_OF_ALL, args![]).await?,
        };
        let mut digests = BTreeSet::new();
        for (plan,) in rows {
            let plan: Value = from_json("the plan of an operation", &plan)?;
            let changes = plan.get("changes").and_then(Value::as_array);
            for digest in changes
                .into_iter()
                .flatten()
                .filter_map(|change| change.get("digest")?.as_str())
            {
                digests.insert(parsed("the plan of an operation", digest)?);
            }
        }
        Ok(digests)
    }
}

/// Where a list that is sorted newest first continues. Without a cursor: above everything.
pub(crate) fn seek(after: Option<&Cursor>) -> (i64, &str) {
    after.map_or((i64::MAX, ""), |cursor| (cursor.at, &cursor.id))
}
