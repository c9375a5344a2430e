//! Operations: what was approved and how far it got.

use std::{collections::BTreeSet, sync::Arc};

use portico_host::{Timestamp, clock::rfc3339};
use portico_package::{Digest, PackageId, Permission, Release};
use portico_plan::{Identity, Plan, TenantId, Verb, inventory::Catalogue, plan::Request};
use serde::{Deserialize, Serialize};

/// The named steps, in order. Disable, enable and uninstall go from `resolve` straight to `activate`.
pub const STEPS: [&str; 7] = [
    "resolve", "fetch", "verify", "stage", "start", "probe", "activate",
];

/// One approved plan on its way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its id (UUID v7).
    pub id: String,
    /// Whose portal.
    pub tenant: TenantId,
    /// Where it is.
    pub state: OperationState,
    /// What was approved.
    pub body: OperationBody,
    /// How far each step got.
    pub steps: Vec<StepReport>,
    /// Why it failed.
    pub error: Option<OperationError>,
    /// Generation that it made, once activated.
    pub generation: Option<u64>,
    /// When it was approved.
    pub created_at: Timestamp,
    /// When it last moved.
    pub updated_at: Timestamp,
}

/// What approval fixed. Execution makes no choices beyond it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperationBody {
    /// Version of this JSON form.
    pub format_version: u32,
    /// What was asked.
    pub request: Request,
    /// What was shown.
    pub plan: Plan,
    /// Every release that the plan names, so that execution needs no registry metadata.
    pub releases: Vec<Arc<Release>>,
    /// What was approved.
    pub approved: BTreeSet<Permission>,
    /// Who approved.
    pub actor: String,
    /// That person's name.
    pub actor_name: String,
    /// The request that brought it.
    pub request_id: String,
    /// Whether what runs of the package is cancelled (kill switch).
    #[serde(default)]
    pub kill: bool,
}

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OperationState {
    /// Waits for its turn.
    Queued,
    /// Is being carried out.
    Running,
    /// Done.
    Succeeded,
    /// Stopped before it changed anything.
    Failed,
}

impl OperationState {
    /// The word in the store and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }

    /// The state of a stored word; an unknown one counts as failed, so that it is never run by mistake.
    pub fn parse(word: &str) -> Self {
        match word {
            "queued" => Self::Queued,
            "running" => Self::Running,
            "succeeded" => Self::Succeeded,
            _ => Self::Failed,
        }
    }

    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed)
    }
}

/// One step of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepReport {
    /// Which.
    pub step: String,
    /// `pending`, `running`, `done` or `failed`.
    pub state: String,
    /// When it began, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub started_at: Option<String>,
    /// When it ended, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub ended_at: Option<String>,
    /// What was done, in a few words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationError {
    /// Stable code.
    pub code: String,
    /// A sentence.
    pub message: String,
    /// In which step.
    pub step: String,
    /// HTTP status that a waiting client receives.
    pub status: u16,
}

impl Operation {
    /// A fresh one.
    pub(crate) fn new(id: String, tenant: TenantId, body: OperationBody, now: Timestamp) -> Self {
        let steps = steps_of(body.request.verb)
            .iter()
            .map(|step| StepReport {
                step: (*step).to_owned(),
                state: "pending".into(),
                started_at: None,
                ended_at: None,
                detail: None,
            })
            .collect();
        Self {
            id,
            tenant,
            state: OperationState::Queued,
            body,
            steps,
            error: None,
            generation: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// What it is about.
    pub fn package(&self) -> &PackageId {
        &self.body.request.package
    }

    /// What it does.
    pub fn verb(&self) -> Verb {
        self.body.request.verb
    }

    pub(crate) fn begin(&mut self, step: &str, now: Timestamp) {
        self.mark(step, "running", now, None);
    }

    pub(crate) fn end(&mut self, step: &str, now: Timestamp, detail: Option<String>) {
        self.mark(step, "done", now, detail);
    }

    fn mark(&mut self, step: &str, state: &str, now: Timestamp, detail: Option<String>) {
        self.updated_at = now;
        if let Some(report) = self.steps.iter_mut().find(|r| r.step == step) {
            report.state = state.to_owned();
            if state == "running" {
                report.started_at.get_or_insert_with(|| rfc3339(now));
            } else {
                report.ended_at = Some(rfc3339(now));
            }
            if detail.is_some() {
                report.detail = detail;
            }
        }
    }

    pub(crate) fn fail(&mut self, error: OperationError, now: Timestamp) {
        let step = error.step.clone();
        self.mark(&step, "failed", now, Some(error.message.clone()));
        self.state = OperationState::Failed;
        self.error = Some(error);
    }

    /// The step that runs, for progress.
    pub fn current_step(&self) -> &str {
        self.steps
            .iter()
            .find(|r| r.state == "running" || r.state == "failed")
            .or_else(|| self.steps.iter().find(|r| r.state == "pending"))
            .map_or("activate", |r| r.step.as_str())
    }

    /// How far it is, 0 to 100.
    pub fn percent(&self) -> u32 {
        let done = self.steps.iter().filter(|r| r.state == "done").count();
        u32::try_from(done * 100 / self.steps.len().max(1)).unwrap_or(100)
    }
}

/// The steps that a verb has.
pub fn steps_of(verb: Verb) -> &'static [&'static str] {
    match verb {
        Verb::Install | Verb::Upgrade | Verb::Rollback | Verb::Enable => &STEPS,
        Verb::Disable | Verb::Uninstall => &["resolve", "activate"],
    }
}

/// Releases that an approved plan names, as the only catalogue that its execution sees.
pub(crate) struct Pinned<'a>(pub &'a [Arc<Release>]);

impl Catalogue for Pinned<'_> {
    fn releases(&self, id: &PackageId) -> Vec<Arc<Release>> {
        self.0
            .iter()
            .filter(|r| r.manifest.id == *id)
            .cloned()
            .collect()
    }

    fn ids(&self) -> Vec<PackageId> {
        let mut ids: Vec<_> = self.0.iter().map(|r| r.manifest.id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    fn by_digest(&self, digest: &Digest) -> Option<Arc<Release>> {
        self.0.iter().find(|r| r.digest == *digest).cloned()
    }
}

/// What the audit says about who did it.
pub(crate) fn actor_of(identity: &Identity) -> (String, String) {
    (identity.actor.label(), identity.name.clone())
}
