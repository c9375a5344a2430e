//! A portal without doors: real store, real blobs, real archives; registries, back ends and stage are fakes
//! that remember what they were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use portico_control::{Control, ControlError, ControlParts, Operation, Sources, Stage, Submission};
use portico_host::{
    Backend, BackendError, BackendFactory, OpContext, PageRequest, PageResponse, StagedPackage,
    Supervisor,
    asset::AssetSet,
    clock::SystemClock,
    fault::{Faults, Injected},
};
use portico_package::{
    Diagnostics, Digest, PackageId, Release, Version, archive,
    manifest::{self, RuntimeKind},
    signature::{PublicKey, SigningKey},
};
use portico_plan::{
    Policy, TenantId, TenantSnapshot, Verb, inventory::Catalogue, plan::Request,
    snapshot::PackageView,
};
use portico_store::{BlobStore, DatabaseUrl, Store};
use serde_json::Value;

/// What a registry would sign, and its archives.
#[derive(Default)]
pub(crate) struct Shelf {
    releases: Vec<Arc<Release>>,
    archives: BTreeMap<Digest, Bytes>,
    pub(crate) unreachable: Mutex<bool>,
}

struct Listed(Vec<Arc<Release>>);

impl Catalogue for Listed {
    fn releases(&self, id: &PackageId) -> Vec<Arc<Release>> {
        self.0
            .iter()
            .filter(|r| r.manifest.id == *id)
            .cloned()
            .collect()
    }

    fn ids(&self) -> Vec<PackageId> {
        let all: BTreeSet<_> = self.0.iter().map(|r| r.manifest.id.clone()).collect();
        all.into_iter().collect()
    }

    fn by_digest(&self, digest: &Digest) -> Option<Arc<Release>> {
        self.0.iter().find(|r| r.digest == *digest).cloned()
    }
}

#[async_trait]
impl Sources for Shelf {
    fn catalogue(&self) -> Arc<dyn Catalogue + Send + Sync> {
        Arc::new(Listed(self.releases.clone()))
    }

    async fn fetch(&self, release: &Release) -> Result<Bytes, ControlError> {
        if *self.unreachable.lock().unwrap() {
            return Err(ControlError::step("registry-unreachable", "no network"));
        }
        Ok(self.archives[&release.digest].clone())
    }

    fn publisher_keys(&self, _: &str) -> Vec<PublicKey> {
        vec![key().public_key()]
    }
}

fn key() -> SigningKey {
    SigningKey::from_seed([7; 32]).unwrap()
}

impl Shelf {
    /// `base` 1.0.0, and `app` 1.0.0 and 2.0.0 which need it; 2.0.0 asks for more.
    pub(crate) fn standard() -> Self {
        let mut shelf = Self::default();
        shelf.add("base", "1.0.0", "", "");
        let needs = "  requires:\n    microsites:\n      - base: \">=1.0.0\"\n";
        shelf.add("app", "1.0.0", needs, "");
        shelf.add(
            "app",
            "2.0.0",
            needs,
            "  permissions:\n    - \"network:outbound\"\n",
        );
        shelf
    }

    pub(crate) fn add(&mut self, id: &str, version: &str, requires: &str, permissions: &str) {
        let yaml = format!(
            "manifest_version: \"1.0\"\nmicrosite:\n  id: {id}\n  name: {id}\n  version: \"{version}\"\n  type: htmx\n  path: /{id}\n{requires}{permissions}"
        );
        let files = BTreeMap::from([
            ("microsite_manifest.yaml".to_owned(), yaml.into_bytes()),
            (
                "templates/index.html".to_owned(),
                format!("<p>{id} {version}</p>").into_bytes(),
            ),
        ]);
        let (manifest, findings) = manifest::read::from_files(&files);
        let manifest = manifest.unwrap_or_else(|| panic!("{findings}"));
        let bytes = archive::pack(&files, &manifest, &key()).unwrap();
        let release = Release {
            registry: "shelf".into(),
            target: archive::target_path(&manifest.id, &manifest.version),
            digest: Digest::of(&bytes),
            size: bytes.len() as u64,
            unpacked_size: files.values().map(|f| f.len() as u64).sum(),
            publisher: key().key_id(),
            manifest,
        };
        self.archives.insert(release.digest, bytes.into());
        self.releases.push(Arc::new(release));
    }

    /// Replaces the archive of a release by other bytes.
    pub(crate) fn tamper(&mut self, id: &str) {
        let digest = self
            .releases
            .iter()
            .find(|r| r.manifest.id.as_str() == id)
            .unwrap()
            .digest;
        let mut bytes = self.archives[&digest].to_vec();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.archives.insert(digest, bytes.into());
    }
}

/// Remembers what it was told, like a data plane.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) backends: BTreeSet<Digest>,
    pub(crate) snapshots: Vec<Arc<TenantSnapshot>>,
    pub(crate) events: Vec<Value>,
    pub(crate) killed: Vec<PackageId>,
}

#[derive(Default, Clone)]
pub(crate) struct FakeStage(pub(crate) Arc<Mutex<Told>>);

impl Stage for FakeStage {
    fn prepare_assets(&self, _: &StagedPackage) -> AssetSet {
        AssetSet::default()
    }

    fn has_backend(&self, digest: &Digest) -> bool {
        self.0.lock().unwrap().backends.contains(digest)
    }

    fn put(&self, digest: Digest, _: Arc<dyn Backend>, _: AssetSet) {
        self.0.lock().unwrap().backends.insert(digest);
    }

    fn retire(&self, in_use: &dyn Fn(&Digest) -> bool, _: &dyn Fn(&Digest) -> bool) {
        self.0.lock().unwrap().backends.retain(|d| in_use(d));
    }

    fn shown(&self, _: &TenantId) -> Option<Arc<TenantSnapshot>> {
        self.0.lock().unwrap().snapshots.last().cloned()
    }

    fn publish(&self, tenant: Arc<TenantSnapshot>) -> bool {
        let mut told = self.0.lock().unwrap();
        // What is routed must be able to answer, at every moment.
        for view in tenant
            .packages
            .values()
            .filter(|v| v.state == portico_plan::inventory::State::Ready)
        {
            assert!(
                told.backends.contains(&view.digest),
                "{} is routed and has no back end",
                view.id
            );
        }
        if told
            .snapshots
            .last()
            .is_some_and(|last| last.generation > tenant.generation)
        {
            return false;
        }
        told.snapshots.push(tenant);
        true
    }

    fn kill(&self, _: &TenantId, package: &PackageId) {
        self.0.lock().unwrap().killed.push(package.clone());
    }

    fn event(&self, _: &TenantId, seq: Option<u64>, event: &Value) {
        if seq.is_some() {
            self.0.lock().unwrap().events.push(event.clone());
        }
    }
}

struct Idle;

#[async_trait]
impl Backend for Idle {
    async fn page(&self, _: &OpContext, _: PageRequest) -> Result<PageResponse, BackendError> {
        Err(BackendError::Failed("not asked in these tests".into()))
    }
}

struct IdleFactory;

#[async_trait]
impl BackendFactory for IdleFactory {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Static
    }

    fn check(&self, _: &StagedPackage) -> Result<(), Diagnostics> {
        Ok(())
    }

    async fn start(&self, _: &StagedPackage) -> Result<Arc<dyn Backend>, BackendError> {
        Ok(Arc::new(Idle))
    }

    async fn probe(&self, _: &Arc<dyn Backend>, _: &Arc<PackageView>) -> Result<(), BackendError> {
        Ok(())
    }
}

/// Counts the points it passes and stops at one of them, once.
#[derive(Default)]
pub(crate) struct Script {
    pub(crate) passed: Mutex<Vec<String>>,
    stop_at: Mutex<Option<usize>>,
}

impl Script {
    pub(crate) fn stopping_at(point: usize) -> Arc<Self> {
        Arc::new(Self {
            passed: Mutex::default(),
            stop_at: Mutex::new(Some(point)),
        })
    }

    /// Whether it has stopped somebody.
    pub(crate) fn has_stopped(&self) -> bool {
        self.stop_at.lock().unwrap().is_none()
    }
}

impl Faults for Script {
    fn hit(&self, point: &str) -> Result<(), Injected> {
        let mut passed = self.passed.lock().unwrap();
        passed.push(point.to_owned());
        let mut stop_at = self.stop_at.lock().unwrap();
        if *stop_at == Some(passed.len() - 1) {
            *stop_at = None;
            return Err(Injected(point.to_owned()));
        }
        Ok(())
    }
}

/// One data folder, through any number of starts.
pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) shelf: Arc<Shelf>,
}

/// One start of it.
pub(crate) struct Running {
    pub(crate) control: Control,
    pub(crate) stage: FakeStage,
    pub(crate) store: Store,
    pub(crate) blobs: PathBuf,
}

pub(crate) fn tenant() -> TenantId {
    TenantId::default_tenant()
}

pub(crate) fn ctx() -> OpContext {
    OpContext::system(tenant(), "test", Duration::from_secs(60))
}

pub(crate) fn id(text: &str) -> PackageId {
    text.parse().unwrap()
}

impl World {
    pub(crate) fn new(shelf: Shelf) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            shelf: Arc::new(shelf),
        }
    }

    /// A copy of everything on disk.
    pub(crate) fn fork(&self) -> Self {
        let dir = tempfile::tempdir().unwrap();
        copy(self.dir.path(), dir.path());
        Self {
            dir,
            shelf: Arc::clone(&self.shelf),
        }
    }

    pub(crate) async fn start(&self, faults: Arc<dyn Faults>) -> Running {
        let url = DatabaseUrl::sqlite(self.dir.path().join("portico.db"));
        let store = Store::open(&url).await.unwrap();
        let mut tx = store.begin().await.unwrap();
        if tx.tenant_get(&tenant()).await.unwrap().is_none() {
            tx.tenant_upsert(&tenant(), "Test", &[], 1).await.unwrap();
        }
        tx.commit().await.unwrap();
        let stage = FakeStage::default();
        let blobs = self.dir.path().join("blobs");
        let control = Control::new(ControlParts {
            store: store.clone(),
            blobs: BlobStore::open(&blobs).unwrap(),
            sources: Arc::clone(&self.shelf) as _,
            stage: Arc::new(stage.clone()),
            factories: vec![Arc::new(IdleFactory)],
            clock: Arc::new(SystemClock),
            faults,
            supervisor: Supervisor::new("test"),
        });
        control
            .boot(BTreeMap::from([(tenant(), policy())]))
            .await
            .unwrap();
        Running {
            control,
            stage,
            store,
            blobs,
        }
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), &target).unwrap();
        }
    }
}

pub(crate) fn policy() -> Policy {
    Policy {
        platform_versions: vec![Version::new(1, 0, 0)],
        component_libraries: BTreeMap::new(),
        runtimes: BTreeSet::from([RuntimeKind::Static]),
        dynamic: true,
        max_microsites: None,
        max_storage: None,
        static_routes: BTreeMap::new(),
    }
}

pub(crate) fn ask(verb: Verb, package: &str) -> Submission {
    Submission {
        request: Request::new(verb, id(package)),
        approve: BTreeSet::from(["network:outbound".parse().unwrap()]),
        lock: None,
        generation: None,
        idempotency: None,
        kill: false,
    }
}

pub(crate) fn version(mut submission: Submission, version: &str) -> Submission {
    submission.request.version = Some(format!("={version}").parse().unwrap());
    submission
}

impl Running {
    /// Approves and carries out.
    pub(crate) async fn run(&self, submission: Submission) -> Result<Operation, ControlError> {
        let operation = self.control.submit(&ctx(), submission).await?;
        self.control.settle().await?;
        self.control.operation(&tenant(), &operation.id).await
    }

    /// `app 1.0.0 ready, base 1.0.0 ready`
    pub(crate) fn shown(&self) -> String {
        let told = self.stage.0.lock().unwrap();
        let snapshot = told.snapshots.last().expect("something is published");
        let all: Vec<String> = snapshot
            .packages
            .values()
            .map(|v| format!("{} {} {:?}", v.id, v.version, v.state).to_lowercase())
            .collect();
        all.join(", ")
    }

    /// Archives on disk.
    pub(crate) async fn archives(&self) -> BTreeSet<Digest> {
        let blobs = BlobStore::open(&self.blobs).unwrap();
        blobs
            .list()
            .await
            .unwrap()
            .into_iter()
            .map(|b| b.digest)
            .collect()
    }

    pub(crate) async fn close(self) {
        self.store.close().await;
    }
}
