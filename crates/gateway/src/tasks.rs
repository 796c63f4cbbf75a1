//! The only place that spawns: named tasks on the main runtime, calls on media workers, and plain threads.
//!
//! A media worker is a single-threaded runtime on a thread of its own. A call is pinned to the least loaded
//! one, so its RTP socket, its WebSockets and its timer are served without a hop between threads.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug};

/// All tasks of the process.
#[derive(Debug, Clone)]
pub struct Tasks {
    main: Handle,
    tracker: TaskTracker,
    stop: CancellationToken,
    workers: Arc<[Worker]>,
}

/// The threads behind [`Tasks`], joined when everything is over.
#[derive(Debug)]
pub struct WorkerThreads {
    stop: CancellationToken,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Worker {
    handle: Handle,
    load: Arc<AtomicUsize>,
}

impl Tasks {
    /// Starts `workers` media threads beside the runtime that this is called on.
    ///
    /// # Errors
    /// The system's, when it gives no thread or no event queue.
    pub fn start(workers: usize) -> io::Result<(Self, WorkerThreads)> {
        let workers_stop = CancellationToken::new();
        let mut threads = Vec::with_capacity(workers);
        let mut handles = Vec::with_capacity(workers);
        for index in 0..workers.max(1) {
            let runtime = Builder::new_current_thread()
                .enable_all()
                .event_interval(POLLS_BETWEEN_EVENTS)
                .max_blocking_threads(2)
                .build()?;
            handles.push(Worker { handle: runtime.handle().clone(), load: Arc::default() });
            let stop = workers_stop.clone();
            threads.push(spawn_thread(&format!("media-{index}"), move || {
                runtime.block_on(stop.cancelled());
                runtime.shutdown_timeout(WORKER_STOP_TIMEOUT);
            })?);
        }
        let tasks = Self {
            main: Handle::current(),
            tracker: TaskTracker::new(),
            stop: CancellationToken::new(),
            workers: handles.into(),
        };
        Ok((tasks, WorkerThreads { stop: workers_stop, threads }))
    }

    /// Runs a task of the main runtime; `name` is its span in the log.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let span = tracing::debug_span!("task", name);
        self.main.spawn(self.tracker.track_future(future.instrument(span)))
    }

    /// Runs a call on the least loaded media worker, where it stays.
    pub fn spawn_call(&self, future: impl Future<Output = ()> + Send + 'static) {
        let Some(worker) = self.workers.iter().min_by_key(|worker| worker.load.load(Ordering::Relaxed))
        else {
            return;
        };
        let share = LoadShare::take(&worker.load);
        // A task keeps a future that it is given and the one that it awaits: kilobytes, twice.
        let future = Box::pin(future);
        worker.handle.spawn(self.tracker.track_future(async move {
            let _share = share;
            future.await;
        }));
    }

    /// Asked for when every task should come to its end.
    pub fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Tells every task to end and waits for them, at most that long. Returns whether all ended.
    pub async fn shut_down(&self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        let all_ended = tokio::time::timeout(patience, self.tracker.wait()).await.is_ok();
        if !all_ended {
            debug!(left = self.tracker.len(), "tasks did not end in time");
        }
        all_ended
    }
}

impl WorkerThreads {
    /// Stops the media workers and waits for their threads.
    pub fn join(self) {
        self.stop.cancel();
        for thread in self.threads {
            // A worker that panicked has logged it; there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}

/// Has the task of `cx` polled again after the sockets and timers of its runtime were looked at.
///
/// A plain wake would have it polled again before them.
pub fn give_way(cx: &mut Context<'_>) {
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

/// Starts a named thread.
///
/// # Errors
/// The system's, when it gives none.
pub fn spawn_thread(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run)
}

/// Does work that waits, such as joining threads or reading files, where it holds up no task; `None` when it
/// panicked, which has been logged.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    tokio::task::spawn_blocking(work).await.ok()
}

/// One call's share of a worker's load, given back when the call is dropped, however it ends.
#[derive(Debug)]
struct LoadShare(Arc<AtomicUsize>);

impl LoadShare {
    fn take(load: &Arc<AtomicUsize>) -> Self {
        load.fetch_add(1, Ordering::Relaxed);
        Self(load.clone())
    }
}

impl Drop for LoadShare {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Polls of calls after which a worker looks at its sockets and timers, however many calls are ready.
const POLLS_BETWEEN_EVENTS: u32 = 8;

/// How long a worker waits for its blocking work (a name that is being resolved) when it is stopped.
const WORKER_STOP_TIMEOUT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::task::Poll;
    use std::time::Instant;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn calls_are_spread_over_the_workers_and_their_load_is_given_back() {
        let (tasks, threads) = Tasks::start(2).unwrap();
        let mut names = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..2 {
            let (name, named) = oneshot::channel();
            let (end, ended) = oneshot::channel::<()>();
            tasks.spawn_call(async move {
                let _ = name.send(std::thread::current().name().map(str::to_owned));
                let _ = ended.await;
            });
            names.push(named.await.unwrap());
            ends.push(end);
        }
        names.sort();
        assert_eq!(names, [Some("media-0".to_owned()), Some("media-1".to_owned())]);
        drop(ends);
        assert!(tasks.shut_down(Duration::from_secs(5)).await);
        assert!(tasks.workers.iter().all(|worker| worker.load.load(Ordering::Relaxed) == 0));
        threads.join();
    }

    #[tokio::test]
    async fn a_call_that_always_has_work_keeps_no_other_call_of_its_worker_from_its_cadence() {
        let (tasks, threads) = Tasks::start(1).unwrap();
        let (deadline, begun_late) = (Arc::new(Mutex::new(None::<Instant>)), Arc::<AtomicUsize>::default());
        let (watched, counted) = (deadline.clone(), begun_late.clone());
        let stop = tasks.stop().clone();
        tasks.spawn_call(std::future::poll_fn(move |cx| {
            if stop.is_cancelled() {
                return Poll::Ready(());
            }
            let begun = Instant::now();
            if watched.lock().unwrap().is_some_and(|deadline| begun > deadline) {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            while begun.elapsed() < Duration::from_millis(2) {}
            give_way(cx);
            Poll::Pending
        }));
        let (done, is_done) = oneshot::channel();
        tasks.spawn_call(async move {
            for _ in 0..10 {
                let due = Instant::now() + Duration::from_millis(20);
                // The timer's own grain is a millisecond.
                *deadline.lock().unwrap() = Some(due + Duration::from_millis(2));
                tokio::time::sleep_until(due.into()).await;
                *deadline.lock().unwrap() = None;
            }
            let _ = done.send(());
        });
        is_done.await.unwrap();
        // At most one portion per frame stands between a deadline and what it wakes, not an event interval.
        assert!(begun_late.load(Ordering::Relaxed) <= 10, "{begun_late:?} portions came first");
        assert!(tasks.shut_down(Duration::from_secs(5)).await);
        threads.join();
    }
}
