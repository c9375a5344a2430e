//! What can be wrong with a registry, in words that say what to do.

/// Why a registry cannot be read or believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Nobody answers, or a file is not there.
    #[error("registry `{registry}` cannot be reached: {reason}")]
    Unreachable {
        /// Name in this portal.
        registry: String,
        /// What happened.
        reason: String,
    },
    /// The location is neither an `http(s)` or `file` URL nor an absolute folder.
    #[error("registry `{registry}`: `{location}` is not a place that can be read: {reason}")]
    Location {
        /// Name in this portal.
        registry: String,
        /// As written.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The pinned root is not one.
    #[error(
        "registry `{registry}`: the pinned root is not usable: {reason}. Ask its operator for the \
         current root.json and run `portico trust add` with it"
    )]
    Root {
        /// Name in this portal.
        registry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Signed statements are too old to be believed.
    #[error(
        "registry `{registry}`: its {role} metadata expired at {expires}. Its operator has to run \
         `portico registry refresh`; nothing that is installed is affected"
    )]
    Expired {
        /// Name in this portal.
        registry: String,
        /// Which role.
        role: String,
        /// When, RFC 3339.
        expires: String,
    },
    /// It shows something older than it showed before.
    #[error(
        "registry `{registry}` shows older metadata than before: {detail}. Either a copy of it is \
         out of date or somebody hides newer versions; ask its operator"
    )]
    Rollback {
        /// Name in this portal.
        registry: String,
        /// Which versions.
        detail: String,
    },
    /// Signed by the right key, but the signature does not hold.
    #[error("registry `{registry}`: the signature on its {role} metadata does not hold: {detail}")]
    BadSignature {
        /// Name in this portal.
        registry: String,
        /// Which role.
        role: String,
        /// What was found.
        detail: String,
    },
    /// Signed, but by a key that nobody entrusted with it.
    #[error(
        "registry `{registry}`: its {role} metadata is signed by a key that is not trusted for it. \
         If the operator changed keys, run `portico trust add` with the new root.json"
    )]
    WrongKey {
        /// Name in this portal.
        registry: String,
        /// Which role.
        role: String,
    },
    /// Files that do not belong together.
    #[error("registry `{registry}`: its metadata does not hold together: {detail}")]
    Inconsistent {
        /// Name in this portal.
        registry: String,
        /// What was found.
        detail: String,
    },
    /// The archive is not there.
    #[error("registry `{registry}` does not have the file of {target} any more")]
    TargetMissing {
        /// Name in this portal.
        registry: String,
        /// Path in the registry.
        target: String,
    },
    /// The archive is not what was signed.
    #[error("registry `{registry}`: {target} is not what was signed: {detail}. It was not used")]
    TargetMismatch {
        /// Name in this portal.
        registry: String,
        /// Path in the registry.
        target: String,
        /// What differs.
        detail: String,
    },
    /// The archive is larger than this portal takes.
    #[error(
        "registry `{registry}`: {target} has {size} bytes and this portal takes at most {limit}"
    )]
    TargetTooLarge {
        /// Name in this portal.
        registry: String,
        /// Path in the registry.
        target: String,
        /// Signed size, bytes.
        size: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// What was seen last could not be remembered, so a rollback could not be noticed.
    #[error("registry `{registry}`: its last seen metadata cannot be read or kept: {reason}")]
    Floor {
        /// Name in this portal.
        registry: String,
        /// What happened.
        reason: String,
    },
    /// An embedded package is not the one that was pinned.
    #[error(
        "the bundled package `{package}` is not the one that is pinned in microsites/bundled.lock: \
         {detail}. Run `cargo xtask bundle` and build again"
    )]
    BundleStale {
        /// Which package.
        package: String,
        /// What differs.
        detail: String,
    },
    /// No registry of that name.
    #[error("no registry is called `{registry}`; there are: {known}")]
    Unknown {
        /// As asked.
        registry: String,
        /// Names, separated by commas.
        known: String,
    },
}

impl RegistryError {
    /// Stable code for the API and for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "registry-unreachable",
            Self::Location { .. } => "registry-location",
            Self::Root { .. } => "registry-root",
            Self::Expired { .. } => "metadata-expired",
            Self::Rollback { .. } => "metadata-rollback",
            Self::BadSignature { .. } => "metadata-bad-signature",
            Self::WrongKey { .. } => "wrong-key",
            Self::Inconsistent { .. } => "metadata-inconsistent",
            Self::TargetMissing { .. } => "target-missing",
            Self::TargetMismatch { .. } => "target-mismatch",
            Self::TargetTooLarge { .. } => "target-too-large",
            Self::Floor { .. } => "registry-floor",
            Self::BundleStale { .. } => "bundle-stale",
            Self::Unknown { .. } => "registry-unknown",
        }
    }

    /// Whether trying again later may help without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Floor { .. })
    }
}
