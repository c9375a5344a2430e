//! Every task has an owner.

use std::{future::Future, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Owns tasks: names them, tells them to stop, waits for them. Passed in, never global.
#[derive(Clone, Debug)]
pub struct Supervisor {
    tracker: TaskTracker,
    cancel: CancellationToken,
    handle: tokio::runtime::Handle,
    name: Arc<str>,
}

impl Supervisor {
    /// Owns tasks on the current runtime.
    pub fn new(name: &str) -> Self {
        Self {
            tracker: TaskTracker::new(),
            cancel: CancellationToken::new(),
            handle: tokio::runtime::Handle::current(),
            name: name.into(),
        }
    }

    /// Cancelled when it is time to stop.
    pub fn token(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Runs `task` to its end; it is told to stop through [`Supervisor::token`].
    /// A panic is logged and does not spread.
    pub fn spawn<F>(&self, name: &'static str, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        use futures_util::FutureExt;
        let owner = Arc::clone(&self.name);
        self.tracker.spawn_on(
            async move {
                if std::panic::AssertUnwindSafe(task)
                    .catch_unwind()
                    .await
                    .is_err()
                {
                    tracing::error!(supervisor = %owner, task = name, "task panicked");
                }
            },
            &self.handle,
        );
    }

    /// How many tasks run.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether none runs.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Tells every task to stop and waits up to `within`; answers how many did not.
    pub async fn stop(&self, within: Duration) -> usize {
        self.cancel.cancel();
        self.tracker.close();
        let _ = tokio::time::timeout(within, self.tracker.wait()).await;
        self.tracker.len()
    }
}
