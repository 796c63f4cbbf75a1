//! The one place where this crate starts tasks: each has a name, ends when the agent stops, and is waited for.

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The tasks of one agent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Starts a task; it is dropped at its next await once the agent stops.
    pub(crate) fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            let finished = stop.run_until_cancelled(task).await.is_some();
            tracing::trace!(name, finished, "SIP task ended");
        });
    }

    /// A token that is cancelled with all tasks.
    pub(crate) fn child_token(&self) -> CancellationToken {
        self.stop.child_token()
    }

    /// Stops all tasks.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until all tasks are gone.
    pub(crate) async fn gone(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}
