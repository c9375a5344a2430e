//! Fault points: places where tests stop the portal, to prove that it always starts again whole.

/// The injected stop.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped at fault point `{0}`")]
pub struct Injected(pub String);

/// Decides at each point whether to go on.
pub trait Faults: Send + Sync + 'static {
    /// Called at `point`; an error stands for a crash right here.
    fn hit(&self, point: &str) -> Result<(), Injected>;
}

/// Never stops.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFaults;

impl Faults for NoFaults {
    fn hit(&self, _point: &str) -> Result<(), Injected> {
        Ok(())
    }
}

/// Aborts the process at one point: what a power cut looks like from inside.
#[derive(Clone, Debug)]
pub struct AbortAt(pub String);

impl Faults for AbortAt {
    fn hit(&self, point: &str) -> Result<(), Injected> {
        if point == self.0 {
            std::process::abort();
        }
        Ok(())
    }
}
