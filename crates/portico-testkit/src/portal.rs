//! A whole portal in the test's own process.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use portico_host::{Clock, SystemClock, fault::Faults};
use portico_server::{Options, Portal};
use serde_json::{Value, json};

use crate::{Client, TestRegistry};

/// A running portal with a data folder of its own.
pub struct TestPortal {
    portal: Option<Portal>,
    options: Options,
    token: String,
    folder: Option<tempfile::TempDir>,
}

impl TestPortal {
    /// Starts one on a free port, without the example registry.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Starts one with other options.
    pub async fn start_with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = crate::folder();
        let mut options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data: folder.path().join("data"),
            threads: std::num::NonZero::new(2),
            examples: false,
            ..Options::default()
        };
        change(&mut options);
        let mut this = Self::open(options, None).await;
        this.folder = Some(folder);
        this
    }

    /// Starts on a data folder that is there, perhaps after a crash.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn open(options: Options, faults: Option<Arc<dyn Faults>>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let started = Box::pin(Portal::start_with(options.clone(), clock, faults)).await;
        let portal = match started {
            Ok(portal) => portal,
            Err(error) => panic!("the portal does not start: {error}"),
        };
        let mut this = Self {
            portal: Some(portal),
            options,
            token: String::new(),
            folder: None,
        };
        this.token = this.make_token(&["*"]).await;
        this
    }

    /// The portal.
    ///
    /// # Panics
    /// If it was stopped.
    pub fn portal(&self) -> &Portal {
        match &self.portal {
            Some(portal) => portal,
            None => panic!("stopped"),
        }
    }

    /// A token with these scopes.
    ///
    /// # Panics
    /// If the store refuses.
    pub async fn make_token(&self, scopes: &[&str]) -> String {
        let core = self.portal().core();
        let scopes: BTreeSet<String> = scopes.iter().map(|s| (*s).to_owned()).collect();
        let made = core
            .people
            .make_token(&core.default_tenant, "test", scopes, None, "test")
            .await;
        match made {
            Ok((_, secret)) => secret.clear,
            Err(error) => panic!("{error}"),
        }
    }

    /// Asks as an administrator.
    pub fn admin(&self) -> Client {
        self.nobody().with_token(&self.token)
    }

    /// Asks as nobody.
    pub fn nobody(&self) -> Client {
        Client::new(self.portal().local_addr())
    }

    /// Where it keeps everything.
    pub fn data(&self) -> &Path {
        &self.options.data
    }

    /// Trusts a registry under the name `test`.
    pub async fn trust(&self, registry: &TestRegistry) {
        let root: Value = serde_json::from_slice(&registry.root()).unwrap_or_default();
        let url = registry.folder().display().to_string();
        let body = json!({"name": "test", "url": url, "root": root});
        self.admin()
            .post("/api/portal/registries", &body)
            .await
            .expect(201);
    }

    /// Reads the registries again, after something was published.
    pub async fn refresh(&self) {
        let path = "/api/portal/registries/refresh";
        self.admin().post(path, &json!({})).await.expect(200);
    }

    /// Installs with everything approved that the plan asks for; answers the generation.
    pub async fn install(&self, id: &str) -> u64 {
        self.verb("install", id, json!({})).await
    }

    /// Any verb, planned and approved the way a client does it; answers the generation.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn verb(&self, verb: &str, id: &str, more: Value) -> u64 {
        let mut ask = json!({"verb": verb, "microsite_id": id});
        merge(&mut ask, &more);
        let plan = self
            .admin()
            .post("/api/portal/microsites/plan", &ask)
            .await
            .expect(200)
            .json();
        assert_eq!(plan["executable"], true, "{plan:#}");
        let mut body = json!({"lock": plan["lock"], "approve": asked(&plan)});
        merge(&mut body, &more);
        let answer = match verb {
            "install" => {
                body["microsite_id"] = id.into();
                self.admin()
                    .post("/api/portal/microsites/install", &body)
                    .await
            }
            "uninstall" => {
                self.admin()
                    .delete(&format!("/api/portal/microsites/{id}"))
                    .await
            }
            verb => {
                self.admin()
                    .post(&format!("/api/portal/microsites/{id}/{verb}"), &body)
                    .await
            }
        };
        answer.expect(200).json()["generation"]
            .as_u64()
            .unwrap_or_default()
    }

    /// Stops it and answers how to start it again on the same data folder.
    pub async fn stop(mut self) -> Stopped {
        if let Some(portal) = self.portal.take() {
            portal.stop().await;
        }
        Stopped {
            options: self.options.clone(),
            folder: self.folder.take(),
        }
    }
}

/// A portal that does not run.
pub struct Stopped {
    options: Options,
    folder: Option<tempfile::TempDir>,
}

impl Stopped {
    /// Starts it again.
    pub async fn start(self) -> TestPortal {
        let mut portal = TestPortal::open(self.options, None).await;
        portal.folder = self.folder;
        portal
    }

    /// Where everything is kept.
    pub fn data(&self) -> PathBuf {
        self.options.data.clone()
    }
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

/// Every permission that a plan asks for.
fn asked(plan: &Value) -> Vec<Value> {
    let changes = plan["changes"].as_array().into_iter().flatten();
    let asks = changes.flat_map(|change| change["permissions"].as_array().into_iter().flatten());
    asks.map(|ask| ask["permission"].clone()).collect()
}
