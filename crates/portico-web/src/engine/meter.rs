//! What one rendering may spend, beyond the engine's own fuel: memory that its values take, and time.

use std::{cell::RefCell, sync::Arc, time::Instant};

use minijinja::{Error, ErrorKind};
use portico_plan::{Identity, snapshot::PackageView};
use tokio_util::sync::CancellationToken;

use crate::{language::Language, locales::Catalogue};

/// What a rendering may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Instructions.
    pub(crate) fuel: u64,
    /// Bytes written.
    pub(crate) output: usize,
    /// Bytes of values made on the way, counted when made and never given back.
    pub(crate) memory: usize,
    /// Bytes of one string.
    pub(crate) string: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 500_000,
            output: 1 << 20,
            memory: 8 << 20,
            string: 128 << 10,
        }
    }
}

/// What the functions of templates see of the request, and what is left to spend.
#[derive(Debug)]
pub(crate) struct Render {
    pub(crate) package: Arc<PackageView>,
    pub(crate) identity: Arc<Identity>,
    pub(crate) language: Language,
    /// The package's texts in that language.
    pub(crate) words: Option<Arc<Catalogue>>,
    pub(crate) limits: Limits,
    pub(crate) memory_left: usize,
    pub(crate) deadline: Instant,
    pub(crate) cancel: CancellationToken,
    pub(crate) now_micros: i64,
    pub(crate) spent: Option<Spent>,
    pub(crate) ticks: u32,
}

/// Why a rendering was stopped from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spent {
    /// Values took more than they may.
    Memory,
    /// The deadline passed.
    Time,
    /// The kill switch, the client or the portal's end.
    Cancelled,
}

thread_local! {
    // Rendering is synchronous, so the thread holds at most one.
    static CURRENT: RefCell<Option<Render>> = const { RefCell::new(None) };
}

/// Runs `f` with `render` in place; answers what is left of it.
pub(crate) fn with_render<T>(render: Render, f: impl FnOnce() -> T) -> (T, Option<Render>) {
    struct Clear;
    impl Drop for Clear {
        fn drop(&mut self) {
            CURRENT.with_borrow_mut(|c| *c = None);
        }
    }
    CURRENT.with_borrow_mut(|c| *c = Some(render));
    let clear = Clear;
    let out = f();
    let left = CURRENT.with_borrow_mut(Option::take);
    drop(clear);
    (out, left)
}

/// Reads the current rendering.
pub(crate) fn current<T>(f: impl FnOnce(&Render) -> T) -> Option<T> {
    CURRENT.with_borrow(|c| c.as_ref().map(f))
}

/// Takes `bytes` from what values may take; also looks at the clock now and then.
pub(crate) fn charge(bytes: usize) -> Result<(), Error> {
    CURRENT.with_borrow_mut(|current| {
        let Some(render) = current else { return Ok(()) };
        render.ticks = render.ticks.wrapping_add(1);
        let spent = if bytes > render.memory_left {
            Some(Spent::Memory)
        } else if render.ticks % 32 != 0 && bytes < 4096 {
            None
        } else if render.cancel.is_cancelled() {
            Some(Spent::Cancelled)
        } else if Instant::now() >= render.deadline {
            Some(Spent::Time)
        } else {
            None
        };
        render.memory_left = render.memory_left.saturating_sub(bytes);
        match spent {
            None => Ok(()),
            Some(spent) => {
                render.spent = Some(spent);
                Err(Error::new(
                    ErrorKind::InvalidOperation,
                    match spent {
                        Spent::Memory => "the values of this page take more memory than they may",
                        Spent::Time => "the page took longer than it may",
                        Spent::Cancelled => "the page was cancelled",
                    },
                ))
            }
        }
    })
}

/// Takes the bytes of a new string.
pub(crate) fn charge_string(bytes: usize) -> Result<(), Error> {
    let limit = current(|r| r.limits.string).unwrap_or(usize::MAX);
    // A string that is too long is refused before it is made, whatever is left.
    charge(if bytes > limit { usize::MAX } else { bytes })
}
