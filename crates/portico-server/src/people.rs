//! Who may: people, sessions, API tokens, one-time links. In memory for the data plane, in the store for good.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use arc_swap::ArcSwap;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portico_gateway::Session;
use portico_host::{Clock, Timestamp};
use portico_package::Digest;
use portico_plan::{
    Identity, TenantId,
    access::{Actor, role_permissions},
};
use portico_store::{SignInLink, Store, StoreError, Token, User};

/// Prefix of API tokens, so that scanners of leaked secrets find them.
pub const TOKEN_PREFIX: &str = "ptc_";

/// How long a one-time sign-in link is good for.
const LINK_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Everybody who is signed in, by the digest of their secret. Reads take no lock.
pub struct People {
    store: Store,
    clock: Arc<dyn Clock>,
    session_micros: i64,
    live: ArcSwap<HashMap<Digest, Arc<Live>>>,
}

struct Live {
    tenant: TenantId,
    expires_at: Option<Timestamp>,
    session: Session,
    is_token: bool,
}

/// A fresh secret and what is kept of it.
pub struct Secret {
    /// What the browser or script gets. Shown once.
    pub clear: String,
    /// What is stored.
    pub digest: Digest,
}

impl Secret {
    /// 32 random bytes behind `prefix`.
    pub fn draw(prefix: &str) -> Result<Self, StoreError> {
        let mut bytes = [0; 32];
        SystemRandom::new()
            .fill(&mut bytes)
            .map_err(|_| StoreError::Unavailable("the system gave no random bytes".into()))?;
        let clear = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bytes));
        let digest = Digest::of(clear.as_bytes());
        Ok(Self { clear, digest })
    }
}

impl People {
    /// Reads who is signed in.
    pub async fn load(
        store: Store,
        clock: Arc<dyn Clock>,
        session_hours: u32,
    ) -> Result<Self, StoreError> {
        let people = Self {
            store,
            clock,
            session_micros: i64::from(session_hours) * 3_600_000_000,
            live: ArcSwap::default(),
        };
        people.reload().await?;
        Ok(people)
    }

    /// Reads everything again: after tokens were made outside this process.
    pub async fn reload(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.read().await?;
        let mut live = HashMap::new();
        for tenant in tx.tenant_list().await? {
            let tenant = tenant.id;
            for row in tx.session_list_live(&tenant, now).await? {
                if let Some(user) = tx.user_get(&tenant, &row.user_id).await? {
                    live.insert(row.hash, Arc::new(live_session(&tenant, &row, &user)));
                }
            }
            for row in tx.token_list(&tenant).await? {
                live.insert(row.hash, Arc::new(live_token(&tenant, &row)));
            }
        }
        self.live.store(Arc::new(live));
        Ok(())
    }

    /// The session behind a secret, if it is good for `tenant` now. No lock, no database.
    pub fn find(&self, tenant: &TenantId, secret: &str, token: bool) -> Option<Session> {
        let live = self.live.load();
        let found = live.get(&Digest::of(secret.as_bytes()))?;
        let good = found.tenant == *tenant
            && found.is_token == token
            && found.expires_at.is_none_or(|at| at > self.clock.now());
        good.then(|| found.session.clone())
    }

    /// The wall clock that expiries are counted by.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether anybody is signed in to `tenant` (a session, not a token).
    pub fn anybody(&self, tenant: &TenantId) -> bool {
        let now = self.clock.now();
        self.live
            .load()
            .values()
            .any(|l| l.tenant == *tenant && !l.is_token && l.expires_at.is_none_or(|at| at > now))
    }

    /// Makes a one-time link secret for `user_id`.
    pub async fn make_link(&self, tenant: &TenantId, user_id: &str) -> Result<Secret, StoreError> {
        let secret = Secret::draw("")?;
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let link = SignInLink {
            hash: secret.digest,
            user_id: user_id.to_owned(),
            created_at: now,
            expires_at: now + LINK_MICROS,
        };
        tx.sign_in_link_insert(tenant, &link).await?;
        tx.commit().await?;
        Ok(secret)
    }

    /// Uses up a link; the person is signed in and gets a session secret.
    pub async fn sign_in_by_link(
        &self,
        tenant: &TenantId,
        clear: &str,
    ) -> Result<Option<Secret>, StoreError> {
        let now = self.clock.now();
        let mut tx = self.store.begin().await?;
        let Some(user_id) = tx
            .sign_in_link_take(tenant, &Digest::of(clear.as_bytes()), now)
            .await?
        else {
            return Ok(None);
        };
        let Some(user) = tx.user_get(tenant, &user_id).await? else {
            return Ok(None);
        };
        let secret = Secret::draw("")?;
        let csrf = Secret::draw("")?;
        let row = portico_store::Session {
            hash: secret.digest,
            user_id,
            csrf: csrf.clear,
            created_at: now,
            expires_at: now + self.session_micros,
            last_seen_at: now,
        };
        tx.session_insert(tenant, &row).await?;
        tx.commit().await?;
        let live = Arc::new(live_session(tenant, &row, &user));
        self.change(|all| {
            all.insert(row.hash, Arc::clone(&live));
        });
        Ok(Some(secret))
    }

    /// Ends a session.
    pub async fn sign_out(&self, tenant: &TenantId, clear: &str) -> Result<(), StoreError> {
        let digest = Digest::of(clear.as_bytes());
        self.change(|all| {
            all.remove(&digest);
        });
        let mut tx = self.store.begin().await?;
        tx.session_delete(tenant, &digest).await?;
        tx.commit().await
    }

    /// Makes an API token; the secret is shown once.
    pub async fn make_token(
        &self,
        tenant: &TenantId,
        name: &str,
        scopes: BTreeSet<String>,
        expires_at: Option<Timestamp>,
        by: &str,
    ) -> Result<(Token, Secret), StoreError> {
        let secret = Secret::draw(TOKEN_PREFIX)?;
        let row = Token {
            id: portico_store::new_id(),
            hash: secret.digest,
            name: name.to_owned(),
            scopes: scopes.into_iter().collect(),
            created_at: self.clock.now(),
            created_by: by.to_owned(),
            expires_at,
            last_used_at: None,
        };
        let mut tx = self.store.begin().await?;
        tx.token_insert(tenant, &row).await?;
        tx.commit().await?;
        let live = Arc::new(live_token(tenant, &row));
        self.change(|all| {
            all.insert(row.hash, Arc::clone(&live));
        });
        Ok((row, secret))
    }

    /// Every token, without secrets.
    pub async fn tokens(&self, tenant: &TenantId) -> Result<Vec<Token>, StoreError> {
        let mut tx = self.store.read().await?;
        tx.token_list(tenant).await
    }

    /// Takes a token away; answers whether it was there.
    pub async fn revoke_token(
        &self,
        tenant: &TenantId,
        token_id: &str,
    ) -> Result<bool, StoreError> {
        let mut tx = self.store.begin().await?;
        let Some(row) = tx
            .token_list(tenant)
            .await?
            .into_iter()
            .find(|t| t.id == token_id)
        else {
            return Ok(false);
        };
        tx.token_delete(tenant, token_id).await?;
        tx.commit().await?;
        self.change(|all| {
            all.remove(&row.hash);
        });
        Ok(true)
    }

    /// The local administrator, made at the first start. Answers whether it was made now.
    pub async fn ensure_admin(&self, tenant: &TenantId) -> Result<(User, bool), StoreError> {
        let mut tx = self.store.begin().await?;
        if let Some(user) = tx.user_by_name(tenant, "admin").await? {
            return Ok((user, false));
        }
        let user = User {
            id: portico_store::new_id(),
            name: "admin".into(),
            roles: vec!["admin".into()],
            disabled: false,
            created_at: self.clock.now(),
            updated_at: self.clock.now(),
        };
        tx.user_insert(tenant, &user).await?;
        tx.commit().await?;
        Ok((user, true))
    }

    fn change(&self, edit: impl Fn(&mut HashMap<Digest, Arc<Live>>)) {
        self.live.rcu(|all| {
            let mut all = HashMap::clone(all);
            edit(&mut all);
            all
        });
    }
}

/// Everything that the roles of a person allow.
pub fn permissions_of(roles: &[String]) -> BTreeSet<String> {
    roles
        .iter()
        .flat_map(|role| role_permissions(role))
        .map(|p| p.to_string())
        .collect()
}

fn live_session(tenant: &TenantId, row: &portico_store::Session, user: &User) -> Live {
    let roles = if user.disabled {
        &[][..]
    } else {
        &user.roles[..]
    };
    Live {
        tenant: tenant.clone(),
        expires_at: Some(row.expires_at),
        is_token: false,
        session: Session {
            identity: Arc::new(Identity {
                tenant: tenant.clone(),
                actor: Actor::User(user.id.clone()),
                name: user.name.clone(),
                permissions: Arc::new(permissions_of(roles)),
            }),
            csrf: row.csrf.as_str().into(),
        },
    }
}

fn live_token(tenant: &TenantId, row: &Token) -> Live {
    Live {
        tenant: tenant.clone(),
        expires_at: row.expires_at,
        is_token: true,
        session: Session {
            identity: Arc::new(Identity {
                tenant: tenant.clone(),
                actor: Actor::Token(row.id.clone()),
                name: row.name.clone(),
                permissions: Arc::new(row.scopes.iter().cloned().collect()),
            }),
            csrf: "".into(),
        },
    }
}
