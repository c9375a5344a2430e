//! Users, and how they sign in: sessions, one-time links, API tokens.
//!
//! A secret that somebody carries is remembered as its digest only.

use portico_package::Digest;
use portico_plan::TenantId;

use crate::{
    StoreError, Tx,
    codec::{from_json, json, parsed},
    dialect::{args, statements},
};

/// A person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id, from [`crate::new_id`].
    pub id: String,
    /// The name to sign in with; unique in the tenant.
    pub name: String,
    /// Roles, by name.
    pub roles: Vec<String>,
    /// Whether the person may not sign in.
    pub disabled: bool,
    /// When it was made: microseconds since 1970, UTC.
    pub created_at: i64,
    /// When it last changed: microseconds since 1970, UTC.
    pub updated_at: i64,
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Digest of what the cookie holds.
    pub hash: Digest,
    /// Whose.
    pub user_id: String,
    /// What requests that change something must repeat.
    pub csrf: String,
    /// When it began: microseconds since 1970, UTC.
    pub created_at: i64,
    /// When it was last used.
    pub last_seen_at: i64,
    /// When it ends.
    pub expires_at: i64,
}

/// An API token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id, from [`crate::new_id`].
    pub id: String,
    /// Digest of the token.
    pub hash: Digest,
    /// What it is for.
    pub name: String,
    /// Permissions that it carries.
    pub scopes: Vec<String>,
    /// Who made it ([`portico_plan::access::Actor::label`]).
    pub created_by: String,
    /// When: microseconds since 1970, UTC.
    pub created_at: i64,
    /// When it ends; `None` for never.
    pub expires_at: Option<i64>,
    /// When it was last used.
    pub last_used_at: Option<i64>,
}

/// A link that signs a person in once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInLink {
    /// Digest of the secret in the link.
    pub hash: Digest,
    /// Whom it signs in.
    pub user_id: String,
    /// When it was made: microseconds since 1970, UTC.
    pub created_at: i64,
    /// When it ends.
    pub expires_at: i64,
}

statements! {
    USER_INSERT = "INSERT INTO users (tenant, id, name, roles, disabled, created_at, updated_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    USER_GET = "SELECT id, name, roles, disabled, created_at, updated_at FROM users WHERE tenant = $1 AND id = $2";
    USER_BY_NAME = "SELECT id, name, roles, disabled, created_at, updated_at FROM users WHERE tenant = $1 AND name = $2";
    USER_LIST = "SELECT id, name, roles, disabled, created_at, updated_at FROM users WHERE tenant = $1 ORDER BY name";
    USER_UPDATE = "UPDATE users SET name = $3, roles = $4, disabled = $5, updated_at = $6 WHERE tenant = $1 AND id = $2";
    SESSION_INSERT = "INSERT INTO sessions (tenant, hash, user_id, csrf, created_at, last_seen_at, expires_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    SESSION_DELETE = "DELETE FROM sessions WHERE tenant = $1 AND hash = $2";
    SESSION_DELETE_OF_USER = "DELETE FROM sessions WHERE tenant = $1 AND user_id = $2";
    SESSION_TOUCH = "UPDATE sessions SET last_seen_at = $3, expires_at = $4 WHERE tenant = $1 AND hash = $2";
    SESSION_LIST_LIVE = "SELECT hash, user_id, csrf, created_at, last_seen_at, expires_at FROM sessions
        WHERE tenant = $1 AND expires_at > $2 ORDER BY created_at, hash";
    SESSION_PRUNE = "DELETE FROM sessions WHERE tenant = $1 AND expires_at <= $2";
    TOKEN_INSERT = "INSERT INTO tokens (tenant, id, hash, name, scopes, created_by, created_at, expires_at, last_used_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    TOKEN_BY_HASH = "SELECT id, hash, name, scopes, created_by, created_at, expires_at, last_used_at FROM tokens
        WHERE tenant = $1 AND hash = $2";
    TOKEN_LIST = "SELECT id, hash, name, scopes, created_by, created_at, expires_at, last_used_at FROM tokens
        WHERE tenant = $1 ORDER BY created_at, id";
    TOKEN_TOUCH = "UPDATE tokens SET last_used_at = $3 WHERE tenant = $1 AND id = $2";
    TOKEN_DELETE = "DELETE FROM tokens WHERE tenant = $1 AND id = $2";
    LINK_INSERT = "INSERT INTO sign_in_links (tenant, hash, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)";
    LINK_TAKE = "UPDATE sign_in_links SET used_at = $3
        WHERE tenant = $1 AND hash = $2 AND used_at IS NULL AND expires_at > $3 RETURNING user_id";
    LINK_PRUNE = "DELETE FROM sign_in_links WHERE tenant = $1 AND (expires_at <= $2 OR used_at IS NOT NULL)";
}

#[derive(sqlx::FromRow)]
struct UserRow {
    id: String,
    name: String,
    roles: String,
    disabled: bool,
    created_at: i64,
    updated_at: i64,
}

impl TryFrom<UserRow> for User {
    type Error = StoreError;

    fn try_from(row: UserRow) -> Result<Self, StoreError> {
        Ok(Self {
            roles: from_json(&format!("the user `{}`", row.name), &row.roles)?,
            id: row.id,
            name: row.name,
            disabled: row.disabled,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    hash: String,
    user_id: String,
    csrf: String,
    created_at: i64,
    last_seen_at: i64,
    expires_at: i64,
}

#[derive(sqlx::FromRow)]
struct TokenRow {
    id: String,
    hash: String,
    name: String,
    scopes: String,
    created_by: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TryFrom<TokenRow> for Token {
    type Error = StoreError;

    fn try_from(row: TokenRow) -> Result<Self, StoreError> {
        let what = format!("the token `{}`", row.name);
        Ok(Self {
            hash: parsed(&what, &row.hash)?,
            scopes: from_json(&what, &row.scopes)?,
            id: row.id,
            name: row.name,
            created_by: row.created_by,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        })
    }
}

impl Tx {
    /// Adds a person; a name that is taken is [`StoreError::Duplicate`].
    pub async fn user_insert(&mut self, t: &TenantId, user: &User) -> Result<(), StoreError> {
        let roles = json("roles", &user.roles)?;
        let row = args![
            t,
            &user.id,
            &user.name,
            roles,
            user.disabled,
            user.created_at,
            user.updated_at
        ];
        self.conn
            .execute(USER_INSERT, row)
            .await
            .map(drop)
            .map_err(|e| name_taken(e, user))
    }

    /// One person, by id.
    pub async fn user_get(&mut self, t: &TenantId, id: &str) -> Result<Option<User>, StoreError> {
        self.conn
            .optional::<UserRow>(USER_GET, args![t, id])
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// One person, by name.
    pub async fn user_by_name(
        &mut self,
        t: &TenantId,
        name: &str,
    ) -> Result<Option<User>, StoreError> {
        self.conn
            .optional::<UserRow>(USER_BY_NAME, args![t, name])
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Everybody, by name.
    pub async fn user_list(&mut self, t: &TenantId) -> Result<Vec<User>, StoreError> {
        let rows: Vec<UserRow> = self.conn.all(USER_LIST, args![t]).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Changes name, roles and whether the person may sign in; `created_at` stays.
    pub async fn user_update(&mut self, t: &TenantId, user: &User) -> Result<(), StoreError> {
        let roles = json("roles", &user.roles)?;
        let row = args![
            t,
            &user.id,
            &user.name,
            roles,
            user.disabled,
            user.updated_at
        ];
        match self
            .conn
            .execute(USER_UPDATE, row)
            .await
            .map_err(|e| name_taken(e, user))?
        {
            0 => Err(StoreError::NotFound(format!("user {}", user.id))),
            _ => Ok(()),
        }
    }

    /// Begins a session.
    pub async fn session_insert(
        &mut self,
        t: &TenantId,
        session: &Session,
    ) -> Result<(), StoreError> {
        let row = args![
            t,
            session.hash,
            &session.user_id,
            &session.csrf,
            session.created_at,
            session.last_seen_at,
            session.expires_at,
        ];
        self.conn.execute(SESSION_INSERT, row).await.map(drop)
    }

    /// Ends a session; answers whether there was one.
    pub async fn session_delete(
        &mut self,
        t: &TenantId,
        hash: &Digest,
    ) -> Result<bool, StoreError> {
        Ok(self.conn.execute(SESSION_DELETE, args![t, hash]).await? > 0)
    }

    /// Ends every session of a person; answers how many.
    pub async fn session_delete_of_user(
        &mut self,
        t: &TenantId,
        user_id: &str,
    ) -> Result<u64, StoreError> {
        self.conn
            .execute(SESSION_DELETE_OF_USER, args![t, user_id])
            .await
    }

    /// Records that a session was used and when it now ends; answers whether there is one.
    pub async fn session_touch(
        &mut self,
        t: &TenantId,
        hash: &Digest,
        seen: i64,
        expires: i64,
    ) -> Result<bool, StoreError> {
        Ok(self
            .conn
            .execute(SESSION_TOUCH, args![t, hash, seen, expires])
            .await?
            > 0)
    }

    /// Sessions that have not ended.
    pub async fn session_list_live(
        &mut self,
        t: &TenantId,
        now: i64,
    ) -> Result<Vec<Session>, StoreError> {
        let rows: Vec<SessionRow> = self.conn.all(SESSION_LIST_LIVE, args![t, now]).await?;
        rows.into_iter()
            .map(|row| {
                Ok(Session {
                    hash: parsed("a session", &row.hash)?,
                    user_id: row.user_id,
                    csrf: row.csrf,
                    created_at: row.created_at,
                    last_seen_at: row.last_seen_at,
                    expires_at: row.expires_at,
                })
            })
            .collect()
    }

    /// Forgets sessions that have ended; answers how many.
    pub async fn session_prune(&mut self, t: &TenantId, now: i64) -> Result<u64, StoreError> {
        self.conn.execute(SESSION_PRUNE, args![t, now]).await
    }

    /// Adds a token.
    pub async fn token_insert(&mut self, t: &TenantId, token: &Token) -> Result<(), StoreError> {
        let row = args![
            t,
            &token.id,
            token.hash,
            &token.name,
            json("scopes", &token.scopes)?,
            &token.created_by,
            token.created_at,
            token.expires_at,
            token.last_used_at,
        ];
        self.conn.execute(TOKEN_INSERT, row).await.map(drop)
    }

    /// The token with this digest. Whether it has ended is for the caller to see.
    pub async fn token_by_hash(
        &mut self,
        t: &TenantId,
        hash: &Digest,
    ) -> Result<Option<Token>, StoreError> {
        self.conn
            .optional::<TokenRow>(TOKEN_BY_HASH, args![t, hash])
            .await?
            .map(TryInto::try_into)
            .transpose()
    }

    /// Every token, oldest first.
    pub async fn token_list(&mut self, t: &TenantId) -> Result<Vec<Token>, StoreError> {
        let rows: Vec<TokenRow> = self.conn.all(TOKEN_LIST, args![t]).await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Records that a token was used; answers whether there is one.
    pub async fn token_touch(
        &mut self,
        t: &TenantId,
        id: &str,
        now: i64,
    ) -> Result<bool, StoreError> {
        Ok(self.conn.execute(TOKEN_TOUCH, args![t, id, now]).await? > 0)
    }

    /// Ends a token; answers whether there was one.
    pub async fn token_delete(&mut self, t: &TenantId, id: &str) -> Result<bool, StoreError> {
        Ok(self.conn.execute(TOKEN_DELETE, args![t, id]).await? > 0)
    }

    /// Adds a sign-in link.
    pub async fn sign_in_link_insert(
        &mut self,
        t: &TenantId,
        link: &SignInLink,
    ) -> Result<(), StoreError> {
        let row = args![
            t,
            link.hash,
            &link.user_id,
            link.created_at,
            link.expires_at
        ];
        self.conn.execute(LINK_INSERT, row).await.map(drop)
    }

    /// Uses a sign-in link up; answers whom it signs in, or `None` when it is unknown, used or over.
    pub async fn sign_in_link_take(
        &mut self,
        t: &TenantId,
        hash: &Digest,
        now: i64,
    ) -> Result<Option<String>, StoreError> {
        let row: Option<(String,)> = self.conn.optional(LINK_TAKE, args![t, hash, now]).await?;
        Ok(row.map(|(user_id,)| user_id))
    }

    /// Forgets sign-in links that are used or over; answers how many.
    pub async fn sign_in_link_prune(&mut self, t: &TenantId, now: i64) -> Result<u64, StoreError> {
        self.conn.execute(LINK_PRUNE, args![t, now]).await
    }
}

fn name_taken(error: StoreError, user: &User) -> StoreError {
    match error {
        StoreError::Duplicate(_) => StoreError::Duplicate(format!("a user `{}`", user.name)),
        other => other,
    }
}
