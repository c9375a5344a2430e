//! Small values that have no table of their own.

use portico_plan::TenantId;
use serde_json::Value;

use crate::{
    StoreError, Tx,
    codec::{from_json, json},
    dialect::{args, statements},
};

statements! {
    GET = "SELECT value FROM settings WHERE tenant = $1 AND name = $2";
    SET = "INSERT INTO settings (tenant, name, value, updated_at) VALUES ($1, $2, $3, $4)
        ON CONFLICT (tenant, name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at";
}

impl Tx {
    /// A setting.
    pub async fn setting_get(
        &mut self,
        t: &TenantId,
        name: &str,
    ) -> Result<Option<Value>, StoreError> {
        let row: Option<(String,)> = self.conn.optional(GET, args![t, name]).await?;
        row.map(|(value,)| from_json(&format!("the setting `{name}`"), &value))
            .transpose()
    }

    /// Changes a setting.
    pub async fn setting_set(
        &mut self,
        t: &TenantId,
        name: &str,
        value: &Value,
        now: i64,
    ) -> Result<(), StoreError> {
        self.conn
            .execute(SET, args![t, name, json("a setting", value)?, now])
            .await
            .map(drop)
    }
}
