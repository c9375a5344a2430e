//! Exit codes and what is said with them.

use serde_json::Value;

/// Something a script can tell apart.
pub(crate) const FAILED: u8 = 1;
/// The command line was wrong (clap's own code).
pub(crate) const USAGE: u8 = 2;
/// Refused: the plan, the package or the permission.
pub(crate) const REFUSED: u8 = 3;
/// The portal could not be reached.
pub(crate) const UNREACHABLE: u8 = 4;
/// A check found errors.
pub(crate) const CHECK: u8 = 5;
/// `plan` found something to do (so that CI can tell it from nothing to do).
pub(crate) const CHANGES: u8 = 10;

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Exit code.
    pub(crate) exit: u8,
    /// What happened and what to do.
    pub(crate) message: String,
    /// Further lines.
    pub(crate) notes: Vec<String>,
    /// The problem as the portal sent it, for `--json`.
    pub(crate) problem: Option<Value>,
}

impl Failure {
    pub(crate) fn new(exit: u8, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            notes: Vec::new(),
            problem: None,
        }
    }

    /// Something failed that has no code of its own.
    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::new(FAILED, error.to_string())
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// What commands answer.
pub(crate) type Done = Result<(), Failure>;
