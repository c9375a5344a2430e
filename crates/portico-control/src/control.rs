//! The façade: plan, approve, wait.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use portico_host::{BackendFactory, Clock, OpContext, Supervisor, fault::Faults};
use portico_package::{Digest, Permission, manifest::RuntimeKind};
use portico_plan::{
    Inventory, Plan, Policy, TenantId, Verb, access,
    plan::{self, Request},
};
use portico_store::{BlobStore, Store};
use tokio::sync::{Notify, watch};

use crate::{
    ControlError, Operation, Sources, Stage,
    operation::{OperationBody, actor_of},
    reconcile, rows,
};

/// Permission that lets an approver grant anything, not only what the asking package holds.
pub const GRANTS_APPROVE: &str = "grants:approve";

/// The control plane. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) parts: ControlParts,
    pub(crate) policy: ArcSwap<BTreeMap<TenantId, Arc<Policy>>>,
    pub(crate) inventories: ArcSwap<BTreeMap<TenantId, Arc<Inventory>>>,
    /// Wakes the reconciler; carries no data.
    pub(crate) wake: Notify,
    /// Whether the reconciler runs on its own.
    started: AtomicBool,
    /// Rises whenever any operation moved; waiting clients look again.
    pub(crate) moved: watch::Sender<u64>,
}

/// What the control plane is made of.
pub struct ControlParts {
    /// Memory.
    pub store: Store,
    /// Archives by digest.
    pub blobs: BlobStore,
    /// Registries.
    pub sources: Arc<dyn Sources>,
    /// Data plane and web.
    pub stage: Arc<dyn Stage>,
    /// Back ends that this build can run.
    pub factories: Vec<Arc<dyn BackendFactory>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where tests stop us.
    pub faults: Arc<dyn Faults>,
    /// Owner of the reconciler.
    pub supervisor: Supervisor,
}

/// An approval: what was asked, what was looked at, what was granted.
#[derive(Clone, Debug)]
pub struct Submission {
    /// What.
    pub request: Request,
    /// Permissions that the approver grants; `None` grants nothing new.
    pub approve: BTreeSet<Permission>,
    /// Lock of the plan that was looked at; without one, the plan made now is taken.
    pub lock: Option<Digest>,
    /// Generation the client decided on; refused when another is current.
    pub generation: Option<u64>,
    /// The client's idempotency key and the digest of its request.
    pub idempotency: Option<(String, Digest)>,
    /// Cancel what runs of the package at once (kill switch).
    pub kill: bool,
}

impl Control {
    /// Puts it together; [`Control::boot`] starts it.
    pub fn new(parts: ControlParts) -> Self {
        Self {
            inner: Arc::new(Inner {
                parts,
                policy: ArcSwap::default(),
                inventories: ArcSwap::default(),
                wake: Notify::new(),
                started: AtomicBool::new(false),
                moved: watch::Sender::new(0),
            }),
        }
    }

    /// What the tenant has, as last activated. In memory; never asks the database.
    pub fn inventory(&self, tenant: &TenantId) -> Option<Arc<Inventory>> {
        self.inner.inventories.load().get(tenant).cloned()
    }

    /// What admins and operators want of the tenant.
    pub fn policy(&self, tenant: &TenantId) -> Option<Arc<Policy>> {
        self.inner.policy.load().get(tenant).cloned()
    }

    /// Replaces what is wanted; plans made from now on follow it.
    pub fn set_policy(&self, tenant: &TenantId, policy: Policy) {
        let policy = Arc::new(policy);
        self.inner.policy.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            all.insert(tenant.clone(), Arc::clone(&policy));
            all
        });
    }

    /// The registries.
    pub fn sources(&self) -> &Arc<dyn Sources> {
        &self.inner.parts.sources
    }

    /// The store, for readers of history.
    pub fn store(&self) -> &Store {
        &self.inner.parts.store
    }

    /// What would happen. Changes nothing, remembers nothing.
    pub fn plan(&self, tenant: &TenantId, request: &Request) -> Result<Plan, ControlError> {
        let (policy, inventory) = self.known(tenant)?;
        let catalogue = self.inner.parts.sources.catalogue();
        Ok(plan::plan(&policy, &inventory, catalogue.as_ref(), request))
    }

    /// Takes an approval. The plan is made again and must be the one that was looked at; then it is
    /// remembered together with its approval, and the reconciler carries it out.
    pub async fn submit(
        &self,
        ctx: &OpContext,
        submission: Submission,
    ) -> Result<Operation, ControlError> {
        let tenant = ctx.tenant().clone();
        let parts = &self.inner.parts;
        let (actor, actor_name) = actor_of(&ctx.identity);
        // A repeat of an earlier request gets that one's operation, whatever has changed since.
        if let Some((key, digest)) = &submission.idempotency {
            let mut tx = parts.store.read().await?;
            if let Some(earlier) = rows::by_key(&mut tx, &tenant, &actor, key, digest).await? {
                return Ok(earlier);
            }
        }
        let mut request = submission.request;
        request.may_grant = access::can(&ctx.identity.permissions, GRANTS_APPROVE);
        let (policy, inventory) = self.known(&tenant)?;
        if let Some(expected) = submission.generation.filter(|g| *g != inventory.generation) {
            return Err(ControlError::StaleGeneration {
                expected,
                current: inventory.generation,
            });
        }
        let catalogue = parts.sources.catalogue();
        let plan = plan::plan(&policy, &inventory, catalogue.as_ref(), &request);
        if !plan.refusals.is_empty() {
            self.audit_refusal(ctx, &plan).await;
            return Err(ControlError::Refused(Box::new(plan)));
        }
        if submission.lock.is_some_and(|lock| lock != plan.lock) {
            return Err(ControlError::PlanChanged(Box::new(plan)));
        }
        let missing = plan.missing_approvals(&submission.approve);
        if !missing.is_empty() {
            let missing = missing.iter().map(ToString::to_string).collect();
            return Err(ControlError::NotApproved {
                missing,
                plan: Box::new(plan),
            });
        }
        let beyond = plan.approvals_not_delegable(&submission.approve);
        if !beyond.is_empty() {
            let names: Vec<String> = beyond.iter().map(ToString::to_string).collect();
            return Err(ControlError::NotDelegable(names));
        }
        let releases = plan
            .changes
            .iter()
            .filter_map(|change| {
                catalogue
                    .by_digest(&change.digest)
                    .or_else(|| held_release(&inventory, &change.digest))
            })
            .collect();
        let body = OperationBody {
            format_version: 1,
            request,
            plan,
            releases,
            approved: submission.approve,
            actor: actor.clone(),
            actor_name,
            request_id: ctx.request_id.to_string(),
            kill: submission.kill,
        };
        let operation = Operation::new(
            portico_store::new_id(),
            tenant.clone(),
            body,
            parts.clock.now(),
        );
        let mut tx = parts.store.begin().await?;
        let operation =
            rows::insert(&mut tx, &operation, &actor, submission.idempotency.as_ref()).await?;
        tx.commit().await?;
        if operation.body.kill && operation.verb() == Verb::Disable {
            // A kill switch does not wait for its turn: what runs stops now, and what is under way for the
            // package gives up before it activates (see `rows::killed`).
            parts.stage.kill(&tenant, operation.package());
        }
        self.inner.wake.notify_one();
        Ok(operation)
    }

    /// Approves and waits until it is live (or has failed).
    pub async fn submit_and_wait(
        &self,
        ctx: &OpContext,
        submission: Submission,
    ) -> Result<Operation, ControlError> {
        let operation = self.submit(ctx, submission).await?;
        self.wait(ctx.tenant(), &operation.id, ctx.remaining())
            .await
    }

    /// Waits for the end of an operation, at most `within`; answers it as it is then.
    pub async fn wait(
        &self,
        tenant: &TenantId,
        id: &str,
        within: Duration,
    ) -> Result<Operation, ControlError> {
        let mut moved = self.inner.moved.subscribe();
        let until = tokio::time::Instant::now() + within;
        loop {
            moved.mark_unchanged();
            let operation = self.operation(tenant, id).await?;
            if operation.state.is_final() {
                return Ok(operation);
            }
            if tokio::time::timeout_at(until, moved.changed())
                .await
                .is_err()
            {
                return Ok(operation);
            }
        }
    }

    /// One operation.
    pub async fn operation(&self, tenant: &TenantId, id: &str) -> Result<Operation, ControlError> {
        let mut tx = self.inner.parts.store.read().await?;
        rows::get(&mut tx, tenant, id)
            .await?
            .ok_or_else(|| ControlError::NotFound {
                kind: "operation",
                id: id.to_owned(),
            })
    }

    /// The newest operations, newest first.
    pub async fn operations(
        &self,
        tenant: &TenantId,
        limit: u32,
    ) -> Result<Vec<Operation>, ControlError> {
        let mut tx = self.inner.parts.store.read().await?;
        rows::list(&mut tx, tenant, limit).await
    }

    /// Takes a failed operation up again under its old approval, if that still fits.
    pub async fn retry(&self, ctx: &OpContext, id: &str) -> Result<Operation, ControlError> {
        let earlier = self.operation(ctx.tenant(), id).await?;
        self.submit(
            ctx,
            Submission {
                request: earlier.body.request,
                approve: earlier.body.approved,
                lock: Some(earlier.body.plan.lock),
                generation: None,
                idempotency: None,
                kill: earlier.body.kill,
            },
        )
        .await
    }

    /// Runs the reconciler until the supervisor stops.
    pub fn start(&self) {
        self.inner.started.store(true, Ordering::SeqCst);
        let control = self.clone();
        self.inner
            .parts
            .supervisor
            .spawn("reconciler", async move { reconcile::run(&control).await });
    }

    pub(crate) fn is_started(&self) -> bool {
        self.inner.started.load(Ordering::SeqCst)
    }

    pub(crate) fn known(
        &self,
        tenant: &TenantId,
    ) -> Result<(Arc<Policy>, Arc<Inventory>), ControlError> {
        match (self.policy(tenant), self.inventory(tenant)) {
            (Some(policy), Some(inventory)) => Ok((policy, inventory)),
            _ => Err(ControlError::NotFound {
                kind: "tenant",
                id: tenant.to_string(),
            }),
        }
    }

    pub(crate) fn set_inventory(&self, inventory: Inventory) {
        let inventory = Arc::new(inventory);
        self.inner.inventories.rcu(|all| {
            let mut all = BTreeMap::clone(all);
            let newer = all
                .get(&inventory.tenant)
                .is_none_or(|old| old.generation <= inventory.generation);
            if newer {
                all.insert(inventory.tenant.clone(), Arc::clone(&inventory));
            }
            all
        });
    }

    pub(crate) fn factory(&self, kind: RuntimeKind) -> Option<&Arc<dyn BackendFactory>> {
        self.inner.parts.factories.iter().find(|f| f.kind() == kind)
    }

    pub(crate) fn announce(&self) {
        self.inner.moved.send_modify(|n| *n += 1);
    }

    async fn audit_refusal(&self, ctx: &OpContext, plan: &Plan) {
        let codes: Vec<&str> = plan.refusals.iter().map(|r| r.code.as_str()).collect();
        let detail = serde_json::json!({ "codes": codes, "version": plan.changes.last().map(|c| c.version.to_string()) });
        let action = format!("microsite.{}.refused", plan.verb.as_str());
        if let Err(error) = self
            .audit(ctx, &action, plan.package.as_str(), detail)
            .await
        {
            tracing::warn!(%error, "the audit record of a refused plan was not written");
        }
    }
}

/// A release that the inventory holds (serving or kept), found by its archive.
pub(crate) fn held_release(
    inventory: &Inventory,
    digest: &Digest,
) -> Option<Arc<portico_package::Release>> {
    inventory
        .installed
        .values()
        .flat_map(|i| std::iter::once(&i.release).chain(&i.previous))
        .find(|r| r.digest == *digest)
        .cloned()
}
