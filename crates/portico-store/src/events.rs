//! The outbox: what happened, in the order in which it happened.

use portico_plan::TenantId;
use serde_json::Value;

use crate::{
    StoreError, Tx,
    codec::{count, from_json, json},
    dialect::{args, statements},
};

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Rises by one with every event of the tenant; the id that browsers resume from.
    pub seq: u64,
    /// `microsite:installed` and so on.
    pub kind: String,
    /// The event as browsers receive it, without `seq`.
    pub body: Value,
    /// The generation that it belongs to.
    pub generation: u64,
    /// When: microseconds since 1970, UTC.
    pub created_at: i64,
}

statements! {
    NEXT = "UPDATE tenants SET event_seq = event_seq + 1 WHERE tenant = $1 RETURNING event_seq";
    INSERT = "INSERT INTO events (tenant, seq, kind, body, generation, created_at) VALUES ($1, $2, $3, $4, $5, $6)";
    AFTER = "SELECT seq, kind, body, generation, created_at FROM events WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    LAST = "SELECT event_seq FROM tenants WHERE tenant = $1";
    PRUNE = "DELETE FROM events WHERE tenant = $1 AND seq <= $2";
}

#[derive(sqlx::FromRow)]
struct Row {
    seq: i64,
    kind: String,
    body: String,
    generation: i64,
    created_at: i64,
}

impl Tx {
    /// Appends an event; answers its number. The row of the tenant is locked until the transaction ends, so
    /// numbers become visible in order and without gaps.
    pub async fn event_append(
        &mut self,
        t: &TenantId,
        kind: &str,
        body: &Value,
        generation: u64,
        now: i64,
    ) -> Result<u64, StoreError> {
        let row: Option<(i64,)> = self.conn.optional(NEXT, args![t]).await?;
        let (seq,) = row.ok_or_else(|| StoreError::UnknownTenant(t.clone()))?;
        self.conn
            .execute(
                INSERT,
                args![t, seq, kind, json("an event", body)?, generation, now],
            )
            .await?;
        count("an event number", seq)
    }

    /// Up to `limit` events after `seq`, oldest first. When the first is not `seq + 1`, older ones were pruned.
    pub async fn events_after(
        &mut self,
        t: &TenantId,
        seq: u64,
        limit: u32,
    ) -> Result<Vec<Event>, StoreError> {
        let rows: Vec<Row> = self
            .conn
            .all(AFTER, args![t, seq, i64::from(limit)])
            .await?;
        rows.into_iter()
            .map(|row| {
                let what = format!("the event {}", row.seq);
                Ok(Event {
                    seq: count(&what, row.seq)?,
                    kind: row.kind,
                    body: from_json(&what, &row.body)?,
                    generation: count(&what, row.generation)?,
                    created_at: row.created_at,
                })
            })
            .collect()
    }

    /// Number of the newest event; 0 when there was none.
    pub async fn event_last_seq(&mut self, t: &TenantId) -> Result<u64, StoreError> {
        let row: Option<(i64,)> = self.conn.optional(LAST, args![t]).await?;
        let (seq,) = row.ok_or_else(|| StoreError::UnknownTenant(t.clone()))?;
        count("an event number", seq)
    }

    /// Forgets all but the newest `keep` events; answers how many went.
    pub async fn events_prune(&mut self, t: &TenantId, keep: u64) -> Result<u64, StoreError> {
        let last = self.event_last_seq(t).await?;
        self.conn
            .execute(PRUNE, args![t, last.saturating_sub(keep)])
            .await
    }
}
