//! Who did what, and what was denied.

use portico_plan::TenantId;
use serde_json::Value;

use crate::{
    Cursor, StoreError, Tx,
    codec::{from_json, json},
    dialect::{args, statements},
    operations::seek,
};

/// One audit record.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// Who ([`portico_plan::access::Actor::label`]).
    pub actor: String,
    /// What: `install`, `grant`, `sign-in`, `denied`.
    pub action: String,
    /// With what: a package id, a user's name, a registry.
    pub subject: String,
    /// Whatever helps to understand it. Never secrets.
    pub detail: Value,
    /// The request.
    pub request_id: String,
    /// When: microseconds since 1970, UTC.
    pub at: i64,
}

/// An [`AuditRow`] with its place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// Its id.
    pub id: String,
    /// The record.
    pub row: AuditRow,
}

impl AuditEntry {
    /// Where the page after this entry begins.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            at: self.row.at,
            id: self.id.clone(),
        }
    }
}

statements! {
    INSERT = "INSERT INTO audit (tenant, id, actor, action, subject, detail, request_id, created_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    LIST = "SELECT id, actor, action, subject, detail, request_id, created_at FROM audit
        WHERE tenant = $1 AND (created_at < $2 OR (created_at = $2 AND id < $3))
        ORDER BY created_at DESC, id DESC LIMIT $4";
    LIST_OF_SUBJECT = "SELECT id, actor, action, subject, detail, request_id, created_at FROM audit
        WHERE tenant = $1 AND subject = $5 AND (created_at < $2 OR (created_at = $2 AND id < $3))
        ORDER BY created_at DESC, id DESC LIMIT $4";
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    actor: String,
    action: String,
    subject: String,
    detail: String,
    request_id: String,
    created_at: i64,
}

impl Tx {
    /// Records.
    pub async fn audit_append(&mut self, t: &TenantId, row: &AuditRow) -> Result<(), StoreError> {
        let detail = json("an audit record", &row.detail)?;
        let row = args![
            t,
            crate::new_id(),
            &row.actor,
            &row.action,
            &row.subject,
            detail,
            &row.request_id,
            row.at
        ];
        self.conn.execute(INSERT, row).await.map(drop)
    }

    /// The newest `limit` records below `after`, newest first; of one subject, or of all.
    pub async fn audit_list(
        &mut self,
        t: &TenantId,
        subject: Option<&str>,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (at, id) = seek(after);
        let limit = i64::from(limit);
        let rows: Vec<Row> = match subject {
            Some(subject) => {
                self.conn
                    .all(LIST_OF_SUBJECT, args![t, at, id, limit, subject])
                    .await?
            }
            None => self.conn.all(LIST, args![t, at, id, limit]).await?,
        };
        rows.into_iter()
            .map(|row| {
                let detail = from_json(&format!("the audit record {}", row.id), &row.detail)?;
                let (id, at) = (row.id, row.created_at);
                let row = AuditRow {
                    actor: row.actor,
                    action: row.action,
                    subject: row.subject,
                    detail,
                    request_id: row.request_id,
                    at,
                };
                Ok(AuditEntry { id, row })
            })
            .collect()
    }
}
