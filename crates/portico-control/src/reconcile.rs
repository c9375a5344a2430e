//! The loop: takes approved operations one at a time per portal and carries them out.
//!
//! It takes no input: woken by [`Control::submit`] and by a timer, it reads what is pending, so that
//! recovery after a crash is the ordinary path.

use std::{sync::Arc, time::Duration};

use portico_host::{BackendError, StagedPackage};
use portico_package::{
    Digest, Release,
    archive::{self, Limits},
};
use portico_plan::{
    Inventory, Plan, Verb,
    inventory::State,
    plan::{self, Action, Change},
};
use portico_store::StoreError;
use serde_json::json;

use crate::{
    Control, ControlError, Operation,
    control::held_release,
    operation::{OperationError, OperationState, Pinned},
    retire, rows,
};

/// How often the loop looks without being woken.
const PERIOD: Duration = Duration::from_secs(20);

/// How often what only grows is cut back.
const PRUNE_PERIOD: Duration = Duration::from_secs(15 * 60);

/// Why an operation gave up for a kill switch.
const KILLED: &str = "the package was switched off while this was under way";

/// Newest events that are looked through for ones that were committed and not told.
const MISSED: u64 = 256;

/// How long after an unreachable store it looks again.
const STORE_RETRY: Duration = Duration::from_millis(500);

pub(crate) async fn run(control: &Control) {
    let stop = control.inner.parts.supervisor.token().clone();
    let mut last_pruned = tokio::time::Instant::now();
    loop {
        let pause = match drain(control).await {
            Ok(()) => PERIOD,
            Err(ControlError::Stopped(at)) => {
                tracing::info!(at, "the reconciler was stopped");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, "the reconciler could not go on and tries again");
                STORE_RETRY
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = control.inner.wake.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
        if last_pruned.elapsed() > PRUNE_PERIOD {
            last_pruned = tokio::time::Instant::now();
            let tenants: Vec<_> = control.inner.inventories.load().keys().cloned().collect();
            for tenant in tenants {
                if let Err(error) = retire::prune(control, &tenant).await {
                    tracing::warn!(%tenant, %error, "old events and sessions were not forgotten; tried again later");
                }
            }
        }
    }
}

/// Carries out everything that is pending, oldest first.
pub(crate) async fn drain(control: &Control) -> Result<(), ControlError> {
    let tenants: Vec<_> = control.inner.inventories.load().keys().cloned().collect();
    for tenant in tenants {
        loop {
            let mut tx = control.inner.parts.store.read().await?;
            let Some(operation) = rows::oldest_pending(&mut tx, &tenant).await? else {
                break;
            };
            drop(tx);
            carry_out(control, operation).await?;
        }
    }
    Ok(())
}

/// Runs one operation to its end. `Err` only for what is not the operation's fault (store, stop):
/// it stays pending and is taken up again.
async fn carry_out(control: &Control, mut operation: Operation) -> Result<(), ControlError> {
    let verb = operation.verb().as_str();
    let span =
        tracing::info_span!("operation", id = %operation.id, verb, package = %operation.package());
    if operation.state == OperationState::Queued {
        operation.state = OperationState::Running;
        save(control, &mut operation).await?;
    }
    let outcome = {
        use tracing::Instrument;
        execute(control, &mut operation)
            .instrument(span.clone())
            .await
    };
    match outcome {
        Ok(()) => {}
        Err(error @ (ControlError::Store(_) | ControlError::Stopped(_))) if !is_final(&error) => {
            return Err(error);
        }
        Err(error) => {
            let step = operation.current_step().to_owned();
            let failed = OperationError {
                code: error.code().to_owned(),
                message: error.to_string(),
                status: error.status(),
                step,
            };
            span.in_scope(|| tracing::warn!(code = %failed.code, step = %failed.step, error = %failed.message, "operation failed; nothing was changed"));
            // Set before a commit that then failed: nothing was activated.
            operation.generation = None;
            operation.fail(failed, control.inner.parts.clock.now());
            finish(control, &mut operation).await?;
        }
    }
    retire::after(control, &operation.tenant).await;
    Ok(())
}

/// What trying again at once does not mend ends the operation, so that it holds up nobody else.
fn is_final(error: &ControlError) -> bool {
    match error {
        ControlError::Store(StoreError::StaleGeneration { .. }) => false,
        ControlError::Store(e) => !e.is_temporary(),
        _ => false,
    }
}

async fn execute(control: &Control, operation: &mut Operation) -> Result<(), ControlError> {
    let faults = Arc::clone(&control.inner.parts.faults);
    let verb = operation.verb().as_str();
    let point = |step: &str, when: &str| {
        faults
            .hit(&format!("{verb}:{step}:{when}"))
            .map_err(|i| ControlError::Stopped(i.0))
    };
    if let Some(generation) = operation.generation {
        // Activated, and then the answer of the commit was lost or the process: only the end is left.
        catch_up(control, operation, generation).await?;
        return complete(control, operation).await;
    }
    point("resolve", "before")?;
    step(control, operation, "resolve").await?;
    let (_, inventory) = control.known(&operation.tenant)?;
    let plan = recheck(control, operation, &inventory)?;
    done(
        control,
        operation,
        "resolve",
        Some(format!("{} to change", plan.changes.len())),
    )
    .await?;
    point("resolve", "after")?;

    if let Verb::Install | Verb::Upgrade | Verb::Rollback | Verb::Enable = operation.verb() {
        prepare(control, operation, &inventory, &plan, &point).await?;
    }

    point("activate", "before")?;
    step(control, operation, "activate").await?;
    activate(control, operation, &point).await?;
    point("activate", "after")?;
    complete(control, operation).await
}

/// Everything before *activate*: invisible and content-addressed, so undo is garbage collection.
async fn prepare(
    control: &Control,
    operation: &mut Operation,
    inventory: &Inventory,
    plan: &Plan,
    point: &impl Fn(&str, &str) -> Result<(), ControlError>,
) -> Result<(), ControlError> {
    let needed: Vec<Arc<Release>> = plan
        .changes
        .iter()
        .filter(|c| c.action != Action::Remove && c.action != Action::Disable)
        .map(|c| release_of(operation, inventory, c))
        .collect::<Result<_, _>>()?;

    point("fetch", "before")?;
    step(control, operation, "fetch").await?;
    let mut fetched = 0;
    for release in &needed {
        if fetch(control, release).await? {
            fetched += release.size;
        }
        point("fetch", "inside")?;
    }
    done(
        control,
        operation,
        "fetch",
        Some(format!("{fetched} bytes")),
    )
    .await?;
    point("fetch", "after")?;

    step(control, operation, "verify").await?;
    let mut packages = Vec::new();
    for release in &needed {
        let known = held_release(inventory, &release.digest).is_some();
        packages.push(verified(control, release, known).await?);
        point("verify", "inside")?;
    }
    done(
        control,
        operation,
        "verify",
        Some(format!("{} signed archives", packages.len())),
    )
    .await?;
    point("verify", "after")?;

    step(control, operation, "stage").await?;
    for package in &packages {
        let kind = package.manifest.runtime.kind;
        let factory = control.factory(kind).ok_or_else(|| cannot_run(kind))?;
        factory
            .check(package)
            .map_err(|d| ControlError::step("package-refused", d.to_string()))?;
        point("stage", "inside")?;
    }
    let staged = packages;
    done(
        control,
        operation,
        "stage",
        Some(format!(
            "{} files",
            staged.iter().map(|s| s.files.len()).sum::<usize>()
        )),
    )
    .await?;
    point("stage", "after")?;

    step(control, operation, "start").await?;
    for package in &staged {
        start_backend(control, package).await?;
        point("start", "inside")?;
    }
    done(control, operation, "start", None).await?;
    point("start", "after")?;

    step(control, operation, "probe").await?;
    probe(control, operation, inventory, plan, &staged).await?;
    done(control, operation, "probe", Some("answers".into())).await?;
    point("probe", "after")
}

/// Makes the plan again from what is observed now. Inside the approved lock it may go on (with a new
/// parent generation); otherwise it parks and asks again.
fn recheck(
    control: &Control,
    operation: &Operation,
    inventory: &Inventory,
) -> Result<Plan, ControlError> {
    let body = &operation.body;
    let (policy, _) = control.known(&operation.tenant)?;
    if cancelled_by_kill(operation, inventory) {
        return Err(ControlError::step("cancelled", KILLED));
    }
    let plan = plan::plan(&policy, inventory, &Pinned(&body.releases), &body.request);
    if !plan.refusals.is_empty() {
        return Err(ControlError::Refused(Box::new(plan)));
    }
    if plan.lock != body.plan.lock {
        return Err(ControlError::PlanChanged(Box::new(plan)));
    }
    Ok(plan)
}

/// A kill switch works midway: what was approved before it does not bring the package back.
fn cancelled_by_kill(operation: &Operation, inventory: &Inventory) -> bool {
    operation.verb() != Verb::Enable
        && operation.verb() != Verb::Uninstall
        && operation.verb() != Verb::Disable
        && inventory
            .installed
            .get(operation.package())
            .is_some_and(|i| {
                i.state == State::Disabled && i.generation > operation.body.plan.parent_generation
            })
}

async fn activate(
    control: &Control,
    operation: &mut Operation,
    point: &impl Fn(&str, &str) -> Result<(), ControlError>,
) -> Result<(), ControlError> {
    let parts = &control.inner.parts;
    let tenant = operation.tenant.clone();
    let mut tx = parts.store.begin().await?;
    // Observed inside the transaction: compare-and-set on the generation decides any race.
    let before = tx.inventory_load(&tenant).await?;
    if operation.verb() != Verb::Disable && rows::killed(&mut tx, operation).await? {
        return Err(ControlError::step("cancelled", KILLED));
    }
    let plan = recheck(control, operation, &before)?;
    let now = parts.clock.now();
    let body = operation.body.clone();
    let find = |digest: &Digest| {
        body.releases
            .iter()
            .find(|r| r.digest == *digest)
            .cloned()
            .or_else(|| held_release(&before, digest))
    };
    let approved = &body.approved;
    let after =
        plan::after(&before, &plan, approved, &find, now, &body.actor_name).map_err(outdated)?;
    let cause = format!("{}:{}", plan.verb.as_str(), plan.package);
    let generation = tx
        .generation_advance(&tenant, before.generation, &cause, now)
        .await?;
    let change = portico_store::Change {
        actor: &body.actor,
        operation: &operation.id,
        now,
    };
    tx.inventory_save(&tenant, &before, &after, change).await?;
    let mut events = Vec::new();
    for change in &plan.changes {
        let mut event = json!({
            "type": event_type(change.action),
            "microsite_id": change.package,
            "name": change.name.as_str(),
            "version": change.version.to_string(),
            "path": change.mount,
            "generation": generation,
            "operation_id": operation.id,
        });
        let seq = tx
            .event_append(&tenant, event_type(change.action), &event, generation, now)
            .await?;
        event["seq"] = json!(seq);
        events.push((seq, event));
    }
    rows::audit_activation(&mut tx, operation, &plan, approved, generation, now).await?;
    operation.generation = Some(generation);
    operation.end("activate", now, Some(format!("generation {generation}")));
    rows::update(&mut tx, operation).await?;
    point("activate", "inside")?;
    tx.commit().await?;
    point("activate", "committed")?;
    show(control, after, &plan, body.kill);
    for (seq, event) in &events {
        parts.stage.event(&tenant, Some(*seq), event);
    }
    Ok(())
}

/// Shows a generation that was committed without being shown.
async fn catch_up(
    control: &Control,
    operation: &Operation,
    generation: u64,
) -> Result<(), ControlError> {
    let tenant = &operation.tenant;
    let (_, known) = control.known(tenant)?;
    if known.generation >= generation {
        return Ok(());
    }
    let mut tx = control.inner.parts.store.read().await?;
    let now = tx.inventory_load(tenant).await?;
    let last = tx.event_last_seq(tenant).await?;
    let missed = tx
        .events_after(
            tenant,
            last.saturating_sub(MISSED),
            u32::try_from(MISSED).unwrap_or(u32::MAX),
        )
        .await?;
    drop(tx);
    show(control, now, &operation.body.plan, operation.body.kill);
    for event in missed
        .into_iter()
        .filter(|e| e.generation > known.generation)
    {
        let mut body = event.body;
        body["seq"] = json!(event.seq);
        control
            .inner
            .parts
            .stage
            .event(tenant, Some(event.seq), &body);
    }
    Ok(())
}

/// Swaps what is routed, after the commit.
fn show(control: &Control, after: Inventory, plan: &Plan, kill: bool) {
    let stage = &control.inner.parts.stage;
    let tenant = after.tenant.clone();
    let snapshot = control.compile(&after);
    if !stage.publish(Arc::new(snapshot)) {
        tracing::error!(
            generation = after.generation,
            "the data plane refused an older generation"
        );
    }
    control.set_inventory(after);
    if kill {
        for change in plan
            .changes
            .iter()
            .filter(|c| matches!(c.action, Action::Disable | Action::Remove))
        {
            stage.kill(&tenant, &change.package);
        }
    }
}

async fn complete(control: &Control, operation: &mut Operation) -> Result<(), ControlError> {
    operation.state = OperationState::Succeeded;
    operation.end("activate", control.inner.parts.clock.now(), None);
    finish(control, operation).await
}

async fn finish(control: &Control, operation: &mut Operation) -> Result<(), ControlError> {
    save(control, operation).await
}

async fn step(
    control: &Control,
    operation: &mut Operation,
    step: &str,
) -> Result<(), ControlError> {
    if control.inner.parts.supervisor.token().is_cancelled() {
        return Err(ControlError::Stopped(format!("before {step}")));
    }
    operation.begin(step, control.inner.parts.clock.now());
    progress(control, operation);
    Ok(())
}

async fn done(
    control: &Control,
    operation: &mut Operation,
    step: &str,
    detail: Option<String>,
) -> Result<(), ControlError> {
    operation.end(step, control.inner.parts.clock.now(), detail);
    progress(control, operation);
    Ok(())
}

/// Progress is told, not stored step by step: after a crash the steps run again anyway.
fn progress(control: &Control, operation: &Operation) {
    let event = json!({
        "type": "operation:progress",
        "operation_id": operation.id,
        "microsite_id": operation.package(),
        "verb": operation.verb().as_str(),
        "state": operation.state.as_str(),
        "step": operation.current_step(),
        "percent": operation.percent(),
    });
    control
        .inner
        .parts
        .stage
        .event(&operation.tenant, None, &event);
}

async fn save(control: &Control, operation: &mut Operation) -> Result<(), ControlError> {
    operation.updated_at = control.inner.parts.clock.now();
    let mut tx = control.inner.parts.store.begin().await?;
    rows::update(&mut tx, operation).await?;
    tx.commit().await?;
    progress(control, operation);
    control.announce();
    Ok(())
}

fn release_of(
    operation: &Operation,
    inventory: &Inventory,
    change: &Change,
) -> Result<Arc<Release>, ControlError> {
    operation
        .body
        .releases
        .iter()
        .find(|r| r.digest == change.digest)
        .cloned()
        .or_else(|| held_release(inventory, &change.digest))
        .ok_or_else(|| {
            ControlError::step(
                "release-lost",
                format!(
                    "no release of {} has the digest {}",
                    change.package, change.digest
                ),
            )
        })
}

/// Brings the archive here; answers whether it had to be fetched.
async fn fetch(control: &Control, release: &Release) -> Result<bool, ControlError> {
    let parts = &control.inner.parts;
    if parts.blobs.get(&release.digest).await.is_ok() {
        return Ok(false);
    }
    let bytes = parts.sources.fetch(release).await?;
    let digest = parts.blobs.put(bytes).await?;
    if digest != release.digest {
        return Err(ControlError::step(
            "target-mismatch",
            format!(
                "{} came with the digest {digest}, signed was {}",
                release.target, release.digest
            ),
        ));
    }
    Ok(true)
}

/// The archive, verified. A release that served before was verified against its publisher then and is
/// pinned by digest; a new one must carry a signature that its registry trusts.
pub(crate) async fn verified(
    control: &Control,
    release: &Release,
    known: bool,
) -> Result<StagedPackage, ControlError> {
    let bytes = control.inner.parts.blobs.get(&release.digest).await?;
    let limits = Limits::default();
    let opened = if known {
        archive::inspect(&bytes, &limits).map(|p| (p.manifest, p.digest, p.files))
    } else {
        let keys = control
            .inner
            .parts
            .sources
            .publisher_keys(&release.registry);
        archive::verify(&bytes, Some((release.digest, release.size)), &keys, &limits).map(|p| {
            let digest = p.digest();
            let (manifest, files) = p.into_parts();
            (manifest, digest, files)
        })
    };
    let (manifest, digest, files) =
        opened.map_err(|e| ControlError::step(e.code(), e.to_string()))?;
    if manifest != release.manifest {
        return Err(ControlError::step(
            "manifest-mismatch",
            format!(
                "the manifest inside {} is not the one that the registry `{}` signs",
                release.target, release.registry
            ),
        ));
    }
    let files = files
        .into_iter()
        .map(|(path, bytes)| (path, bytes.into()))
        .collect();
    Ok(StagedPackage {
        digest,
        manifest: Arc::new(manifest),
        files: Arc::new(files),
    })
}

fn cannot_run(kind: portico_package::manifest::RuntimeKind) -> ControlError {
    ControlError::step(
        "unsupported-runtime",
        format!("this build cannot run `{kind:?}` back ends"),
    )
}

/// Starts the back end of one archive and puts it on stage; does nothing when it is there.
pub(crate) async fn start_backend(
    control: &Control,
    package: &StagedPackage,
) -> Result<(), ControlError> {
    let stage = &control.inner.parts.stage;
    if stage.has_backend(&package.digest) {
        return Ok(());
    }
    let kind = package.manifest.runtime.kind;
    let factory = control.factory(kind).ok_or_else(|| cannot_run(kind))?;
    let backend = factory
        .start(package)
        .await
        .map_err(|e| failed("start-failed", package, &e))?;
    stage.put(package.digest, backend, stage.prepare_assets(package));
    Ok(())
}

async fn probe(
    control: &Control,
    operation: &Operation,
    inventory: &Inventory,
    plan: &Plan,
    staged: &[StagedPackage],
) -> Result<(), ControlError> {
    let now = control.inner.parts.clock.now();
    let body = &operation.body;
    let find = |digest: &Digest| {
        body.releases
            .iter()
            .find(|r| r.digest == *digest)
            .cloned()
            .or_else(|| held_release(inventory, digest))
    };
    let approved = &body.approved;
    let after =
        plan::after(inventory, plan, approved, &find, now, &body.actor_name).map_err(outdated)?;
    let snapshot = control.compile(&after);
    for package in staged {
        let (Some(view), Some(factory)) = (
            snapshot.packages.get(&package.manifest.id),
            control.factory(package.manifest.runtime.kind),
        ) else {
            continue;
        };
        let backend = factory
            .start(package)
            .await
            .map_err(|e| failed("start-failed", package, &e))?;
        factory
            .probe(&backend, view)
            .await
            .map_err(|e| failed("probe-failed", package, &e))?;
    }
    Ok(())
}

fn failed(code: &str, package: &StagedPackage, error: &BackendError) -> ControlError {
    ControlError::step(
        code,
        format!(
            "{} {}: {error}",
            package.manifest.id, package.manifest.version
        ),
    )
}

fn event_type(action: Action) -> &'static str {
    match action {
        Action::Install => Verb::Install,
        Action::Upgrade => Verb::Upgrade,
        Action::Rollback => Verb::Rollback,
        Action::Disable => Verb::Disable,
        Action::Enable => Verb::Enable,
        Action::Remove => Verb::Uninstall,
    }
    .event_type()
}

/// The plan was made from these very values a moment ago.
fn outdated(error: plan::NotCarriedOut) -> ControlError {
    ControlError::step("plan-outdated", error.to_string())
}
