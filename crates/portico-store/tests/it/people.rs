use portico_package::Digest;
use portico_store::{Session, SignInLink, StoreError, Token, User};

use crate::support::{NOW, other, store_test, tenant, user};

fn session(secret: &[u8], user_id: &str, expires_at: i64) -> Session {
    let hash = Digest::of(secret);
    Session {
        hash,
        user_id: user_id.into(),
        csrf: "c".into(),
        created_at: NOW,
        last_seen_at: NOW,
        expires_at,
    }
}

fn token(id: &str, secret: &[u8]) -> Token {
    Token {
        id: id.into(),
        hash: Digest::of(secret),
        name: "CI".into(),
        scopes: vec!["microsite:install".into(), "api:*".into()],
        created_by: "user:ada".into(),
        created_at: NOW,
        expires_at: None,
        last_used_at: None,
    }
}

store_test! {
    async fn people_are_found_by_id_and_by_name(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let mut tx = store.begin().await.unwrap();
        let (ada, bob) = (user("1", "ada"), user("2", "Bob"));
        tx.user_insert(&t, &ada).await.unwrap();
        tx.user_insert(&t, &bob).await.unwrap();
        tx.user_insert(&other(), &ada).await.unwrap();
        assert_eq!(tx.user_get(&t, "1").await.unwrap().as_ref(), Some(&ada));
        assert_eq!(tx.user_by_name(&t, "Bob").await.unwrap().as_ref(), Some(&bob));
        assert_eq!(tx.user_by_name(&t, "bob").await.unwrap(), None);
        assert_eq!(tx.user_by_name(&other(), "Bob").await.unwrap(), None);
        // Bytewise on both databases: capitals first.
        assert_eq!(tx.user_list(&t).await.unwrap(), [bob.clone(), ada.clone()]);
        let changed = User { roles: vec![], disabled: true, updated_at: NOW + 1, name: "ada.l".into(), ..ada };
        tx.user_update(&t, &changed).await.unwrap();
        assert_eq!(tx.user_get(&t, "1").await.unwrap().as_ref(), Some(&changed));
        assert_eq!(tx.user_get(&other(), "1").await.unwrap().unwrap().name, "ada");
        let nobody = User { id: "9".into(), name: "nobody".into(), ..bob.clone() };
        assert!(matches!(tx.user_update(&t, &nobody).await, Err(StoreError::NotFound(_))));
        let error = tx.user_insert(&t, &User { id: "3".into(), ..bob }).await.unwrap_err();
        assert!(matches!(&error, StoreError::Duplicate(what) if what == "a user `Bob`"), "{error:?}");
    }

    async fn sessions_end(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let mut tx = store.begin().await.unwrap();
        tx.user_insert(&t, &user("1", "ada")).await.unwrap();
        let (long, short) = (session(b"long", "1", NOW + 100), session(b"short", "1", NOW + 10));
        tx.session_insert(&t, &long).await.unwrap();
        tx.session_insert(&t, &short).await.unwrap();
        let live = |sessions: Vec<Session>| sessions.iter().map(|s| s.expires_at - NOW).collect::<Vec<_>>();
        let mut both = live(tx.session_list_live(&t, NOW).await.unwrap());
        both.sort_unstable();
        assert_eq!(both, [10, 100]);
        // The moment it ends it has ended.
        assert_eq!(live(tx.session_list_live(&t, NOW + 10).await.unwrap()), [100]);
        assert!(tx.session_touch(&t, &short.hash, NOW + 5, NOW + 50).await.unwrap());
        assert!(!tx.session_touch(&other(), &short.hash, NOW + 5, NOW + 50).await.unwrap());
        let touched = tx.session_list_live(&t, NOW + 10).await.unwrap();
        assert!(touched.contains(&Session { last_seen_at: NOW + 5, expires_at: NOW + 50, ..short.clone() }), "{touched:?}");
        assert_eq!(tx.session_prune(&t, NOW + 50).await.unwrap(), 1);
        assert!(!tx.session_delete(&other(), &long.hash).await.unwrap());
        assert!(tx.session_delete(&t, &long.hash).await.unwrap());
        assert!(!tx.session_delete(&t, &long.hash).await.unwrap());
        tx.session_insert(&t, &long).await.unwrap();
        assert_eq!(tx.session_delete_of_user(&t, "1").await.unwrap(), 1);
        assert!(matches!(tx.session_insert(&t, &session(b"x", "ghost", NOW)).await, Err(StoreError::NotFound(_))));
    }

    async fn a_sign_in_link_works_once_and_in_time(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let link = |secret: &[u8]| SignInLink { hash: Digest::of(secret), user_id: "1".into(), created_at: NOW, expires_at: NOW + 10 };
        let mut tx = store.begin().await.unwrap();
        tx.user_insert(&t, &user("1", "ada")).await.unwrap();
        tx.user_insert(&other(), &user("1", "eve")).await.unwrap();
        tx.sign_in_link_insert(&t, &link(b"a")).await.unwrap();
        tx.sign_in_link_insert(&t, &link(b"b")).await.unwrap();
        assert_eq!(tx.sign_in_link_take(&other(), &Digest::of(b"a"), NOW).await.unwrap(), None);
        assert_eq!(tx.sign_in_link_take(&t, &Digest::of(b"guess"), NOW).await.unwrap(), None);
        assert_eq!(tx.sign_in_link_take(&t, &Digest::of(b"a"), NOW + 9).await.unwrap().as_deref(), Some("1"));
        assert_eq!(tx.sign_in_link_take(&t, &Digest::of(b"a"), NOW + 9).await.unwrap(), None);
        assert_eq!(tx.sign_in_link_take(&t, &Digest::of(b"b"), NOW + 10).await.unwrap(), None);
        assert_eq!(tx.sign_in_link_prune(&t, NOW + 9).await.unwrap(), 1);
        assert_eq!(tx.sign_in_link_take(&t, &Digest::of(b"b"), NOW + 9).await.unwrap().as_deref(), Some("1"));
    }

    async fn tokens_are_found_by_their_digest(db: &Db) {
        let store = db.store().await;
        let t = tenant();
        let mut tx = store.begin().await.unwrap();
        let plain = token("1", b"secret");
        let full = Token { expires_at: Some(NOW + 3), last_used_at: Some(NOW + 1), created_at: NOW + 1, ..token("2", b"another") };
        tx.token_insert(&t, &plain).await.unwrap();
        tx.token_insert(&t, &full).await.unwrap();
        assert_eq!(tx.token_by_hash(&t, &Digest::of(b"secret")).await.unwrap().as_ref(), Some(&plain));
        assert_eq!(tx.token_by_hash(&other(), &Digest::of(b"secret")).await.unwrap(), None);
        assert_eq!(tx.token_list(&t).await.unwrap(), [plain.clone(), full.clone()]);
        assert!(tx.token_touch(&t, "1", NOW + 7).await.unwrap());
        assert!(!tx.token_touch(&other(), "1", NOW + 7).await.unwrap());
        assert_eq!(tx.token_list(&t).await.unwrap()[0].last_used_at, Some(NOW + 7));
        assert!(!tx.token_delete(&other(), "2").await.unwrap());
        assert!(tx.token_delete(&t, "2").await.unwrap());
        assert!(!tx.token_delete(&t, "2").await.unwrap());
        assert_eq!(tx.token_by_hash(&t, &full.hash).await.unwrap(), None);
        assert!(matches!(tx.token_insert(&t, &token("3", b"secret")).await, Err(StoreError::Duplicate(_))));
    }
}
