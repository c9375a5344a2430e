//! The plan: what would happen, shown before it does.

mod after;
mod asks;
mod build;
mod checks;
mod explain;
mod settings;
mod verbs;

use std::collections::BTreeSet;

use portico_package::{Digest, PackageId, Permission, Text, Version, VersionRange};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    Refusal, TenantId,
    access::Actor,
    inventory::{Origin, Overrides},
};

pub use after::{NotCarriedOut, after};
pub use build::plan;
pub use explain::explain;

/// What can be done with a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Make it there.
    Install,
    /// Go to a newer version.
    Upgrade,
    /// Go back to one that served before.
    Rollback,
    /// Switch it off, keep everything.
    Disable,
    /// Switch it on again.
    Enable,
    /// Take it away.
    Uninstall,
}

impl Verb {
    /// Lower-case word of the API and the CLI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Rollback => "rollback",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::Uninstall => "uninstall",
        }
    }

    /// Event type that browsers receive once it happened.
    pub fn event_type(self) -> &'static str {
        match self {
            Self::Install => "microsite:installed",
            Self::Upgrade => "microsite:upgraded",
            Self::Rollback => "microsite:rolled_back",
            Self::Disable => "microsite:disabled",
            Self::Enable => "microsite:enabled",
            Self::Uninstall => "microsite:uninstalled",
        }
    }

    /// Permission that a person needs for it.
    pub fn permission(self) -> &'static str {
        match self {
            Self::Uninstall => "microsite:uninstall",
            _ => "microsite:install",
        }
    }
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// What to do.
    pub verb: Verb,
    /// With which package.
    pub package: PackageId,
    /// Which versions will do; a full version (`2.1.0`) means exactly that one. Without one: the newest, for
    /// rollback the newest of those before.
    pub version: Option<VersionRange>,
    /// Only from this registry.
    pub registry: Option<String>,
    /// Configuration; missing keys keep their value, else take the schema's default. `null` takes a key back to
    /// its default.
    pub config: Option<Value>,
    /// The package that asks, when one does (`microsite:install`).
    pub requested_by: Option<PackageId>,
    /// Whether the approver may grant anything, or only what `requested_by` holds.
    pub may_grant: bool,
    /// Who will own the installation.
    pub origin: Origin,
    /// Path from the configuration, in place of the manifest's.
    pub mount: Option<String>,
    /// What the configuration says differently from the manifest; without it, what was said before stays.
    #[serde(default)]
    pub overrides: Option<Overrides>,
}

impl Request {
    /// A person's request with nothing special about it; the approver may grant nothing.
    pub fn new(verb: Verb, package: PackageId) -> Self {
        Self {
            verb,
            package,
            version: None,
            registry: None,
            config: None,
            requested_by: None,
            may_grant: false,
            origin: Origin::Installed,
            mount: None,
            overrides: None,
        }
    }
}

/// What would happen. Pure data: the marketplace, the CLI and CI read the same object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of this JSON form.
    pub format_version: u32,
    /// Whose portal.
    pub tenant: TenantId,
    /// What was asked.
    pub verb: Verb,
    /// Of which package.
    pub package: PackageId,
    /// Whether whoever asked may grant anything; otherwise only what is delegable is ever granted.
    #[serde(default)]
    pub may_grant: bool,
    /// Who will own what it installs.
    pub origin: Origin,
    /// What the configuration says differently of the package asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overrides: Option<Overrides>,
    /// Generation that it was made from; it fits no other without being made again.
    pub parent_generation: u64,
    /// What changes, in the order in which it would be done (dependencies first).
    pub changes: Vec<Change>,
    /// Why it cannot be done; empty when it can.
    pub refusals: Vec<Refusal>,
    /// What is worth knowing, in plain words.
    pub notices: Vec<String>,
    /// Bytes that this adds to the tenant's storage.
    pub storage_bytes: u64,
    /// Digest over what approval fixes ([`Lock`]).
    pub lock: Digest,
}

impl Plan {
    /// Whether nothing stands in the way (approval is another matter: [`Plan::missing_approvals`]).
    pub fn is_executable(&self) -> bool {
        self.refusals.is_empty()
    }

    /// What has to be approved before it can be carried out: asked for, needed, not held.
    pub fn required_approvals(&self) -> BTreeSet<Permission> {
        self.new_asks()
            .filter(|ask| !ask.optional)
            .map(|ask| ask.permission.clone())
            .collect()
    }

    /// What of [`Plan::required_approvals`] is not among `approved`.
    pub fn missing_approvals(&self, approved: &BTreeSet<Permission>) -> Vec<Permission> {
        self.required_approvals()
            .into_iter()
            .filter(|p| !approved.contains(p))
            .collect()
    }

    /// What of `approved` whoever asked cannot give: neither may they grant anything, nor does the package that
    /// asks hold it.
    pub fn approvals_not_delegable(&self, approved: &BTreeSet<Permission>) -> Vec<Permission> {
        if self.may_grant {
            return Vec::new();
        }
        let beyond: BTreeSet<_> = self
            .new_asks()
            .filter(|ask| !ask.delegable && approved.contains(&ask.permission))
            .map(|ask| ask.permission.clone())
            .collect();
        beyond.into_iter().collect()
    }

    /// What approval fixes, from which [`Plan::lock`] is computed.
    pub fn lock_body(&self) -> Lock {
        Lock {
            verb: self.verb,
            changes: self.changes.iter().map(Change::locked).collect(),
        }
    }

    fn new_asks(&self) -> impl Iterator<Item = &PermissionAsk> {
        let asks = self.changes.iter().flat_map(|change| &change.permissions);
        asks.filter(|ask| matches!(ask.status, AskStatus::New | AskStatus::Widened))
    }
}

impl Change {
    fn locked(&self) -> LockedChange {
        let given = |ask: &&PermissionAsk| match ask.status {
            AskStatus::Held => true,
            AskStatus::New | AskStatus::Widened => !ask.optional,
            AskStatus::Dropped => false,
        };
        LockedChange {
            action: self.action,
            package: self.package.clone(),
            version: self.version.clone(),
            digest: self.digest,
            permissions: self
                .permissions
                .iter()
                .filter(given)
                .map(|a| a.permission.clone())
                .collect(),
            mount: self.mount.clone(),
        }
    }
}

/// What approval fixes: versions, digests, permissions, routes. Execution makes no choices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// What was asked.
    pub verb: Verb,
    /// One line per change.
    pub changes: Vec<LockedChange>,
}

impl Lock {
    /// Digest of its canonical JSON.
    pub fn digest(&self) -> Digest {
        // A lock holds only strings, so that it is always JSON.
        Digest::of(&portico_package::canonical::to_vec(self).unwrap_or_default())
    }
}

/// One change of a [`Lock`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockedChange {
    /// What happens.
    pub action: Action,
    /// To which package.
    pub package: PackageId,
    /// Version afterwards.
    pub version: Version,
    /// Archive afterwards.
    pub digest: Digest,
    /// Grants afterwards if everything required is approved.
    pub permissions: BTreeSet<Permission>,
    /// Mount afterwards.
    pub mount: String,
}

/// One package's part of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What happens.
    pub action: Action,
    /// To which package.
    pub package: PackageId,
    /// Name that people read.
    pub name: Text,
    /// An emoji, or the URL of a file; none where the icon is a file that is not served yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// Version that serves now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Version>,
    /// Version afterwards; for removal the one that goes.
    pub version: Version,
    /// Registry that signs it.
    pub registry: String,
    /// Path of the archive in the registry.
    pub target: String,
    /// Archive.
    pub digest: Digest,
    /// Size of the archive, bytes.
    pub size: u64,
    /// Key id of the publisher.
    pub publisher: String,
    /// Where its pages live afterwards; for a link, the URL.
    pub mount: String,
    /// Why it is in the plan: `asked for`, or `logstream_analytics requires sz_schedules >=1.0.0`.
    pub because: String,
    /// What it asks for.
    pub permissions: Vec<PermissionAsk>,
    /// Routes that appear.
    pub routes_added: Vec<String>,
    /// Routes that go.
    pub routes_removed: Vec<String>,
    /// Navigation entries that appear, as people read them.
    pub navigation_added: Vec<String>,
    /// Navigation entries that go.
    pub navigation_removed: Vec<String>,
    /// Configuration afterwards.
    pub config: Value,
}

/// What happens to one package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// New.
    Install,
    /// To a newer version; from one to the same: only its settings, path or name change.
    Upgrade,
    /// To an older version.
    Rollback,
    /// Off.
    Disable,
    /// On.
    Enable,
    /// Gone.
    Remove,
}

/// One permission of a [`Change`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionAsk {
    /// What.
    pub permission: Permission,
    /// Why, in the author's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
    /// In plain words: "Reads schedules".
    pub summary: String,
    /// `reads`, `changes`, `connects`, `stores`, `shows`, `manages`.
    pub group: String,
    /// Works without it.
    pub optional: bool,
    /// How it stands against what was granted before.
    pub status: AskStatus,
    /// Whether the package that asks for the installation could pass it on.
    pub delegable: bool,
}

/// How an asked permission stands against the grant ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AskStatus {
    /// First installation: asked for the first time.
    New,
    /// Granted before.
    Held,
    /// This version asks for it and the one before did not.
    Widened,
    /// Held until now and no longer asked for.
    Dropped,
}

/// Who will be recorded as the approver, and what was approved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// Who.
    pub actor: Actor,
    /// What was approved: every required permission that is not held must be in it.
    pub permissions: BTreeSet<Permission>,
    /// The lock that was looked at.
    pub lock: Digest,
}
