//! Works off what is due in a table: woken by commits and by the next due time, as much at once as there is room.
//!
//! The database is the queue. What is under way here is known nowhere else: after a crash it is simply due again.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::clock::unix_ms;
use crate::store::{Store, StoreError};

/// Work that stands in a table.
pub(super) trait DueWork: Send {
    /// What is left of an attempt.
    type Done: Send;

    /// What it is, for the log.
    const NAME: &'static str;

    /// Where it stands.
    fn store(&self) -> &Store;

    /// Starts everything that is due and has room; says when something is due next, ms since 1970.
    fn start_due(
        &mut self,
        under_way: &mut UnderWay<Self::Done>,
    ) -> impl Future<Output = Result<Option<u64>, StoreError>> + Send;

    /// An attempt is over.
    fn end(&mut self, done: Self::Done);

    /// So many are under way.
    fn show_under_way(&self, attempts: usize);
}

/// The attempts under way.
pub(super) type UnderWay<T> = FuturesUnordered<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Does what is due until it is told to stop; attempts that are under way then have a moment to end.
pub(super) async fn work_off<W: DueWork>(mut work: W, stop: CancellationToken) {
    let mut under_way = UnderWay::new();
    let mut commits = work.store().commits();
    loop {
        commits.mark_unchanged();
        let wait = match look(&mut work, &mut under_way).await {
            Ok(next) => {
                let wait = next.map_or(IDLE, |at| Duration::from_millis(at.saturating_sub(unix_ms())));
                // One that is due and under way would have us look at once, again and again.
                wait.clamp(LOOK_AGAIN, IDLE)
            }
            Err(error) => {
                warn!(%error, work = W::NAME, "what is due waits: the store cannot be read");
                STORE_RETRY
            }
        };
        let wake_at = Instant::now() + wait;
        work.show_under_way(under_way.len());
        tokio::select! {
            Some(done) = under_way.next() => work.end(done),
            () = tokio::time::sleep_until(wake_at) => {}
            changed = commits.changed() => {
                if changed.is_err() {
                    break;
                }
                // Many commits in a row are looked at together.
                tokio::time::sleep(COALESCE).await;
            }
            () = stop.cancelled() => break,
        }
    }
    let rest = async { while under_way.next().await.is_some() {} };
    // What does not end is due again at the next start.
    let _ = tokio::time::timeout(STOP_PATIENCE, rest).await;
}

/// Starts what is due, and lets what is under way go on meanwhile: an attempt may have been given the connection that
/// the look into the table waits for. What ended meanwhile may have made room: then it looks again.
async fn look<W: DueWork>(
    work: &mut W,
    under_way: &mut UnderWay<W::Done>,
) -> Result<Option<u64>, StoreError> {
    loop {
        let (mut fresh, mut ended) = (UnderWay::new(), Vec::new());
        let started = {
            let mut starting = pin!(work.start_due(&mut fresh));
            loop {
                tokio::select! {
                    started = &mut starting => break started,
                    Some(done) = under_way.next() => ended.push(done),
                }
            }
        };
        under_way.extend(fresh);
        let has_room = !ended.is_empty();
        ended.into_iter().for_each(|done| work.end(done));
        if !has_room || started.is_err() {
            return started;
        }
    }
}

/// Writes down what became of an attempt, however long that takes: due again, it would be made as fast as it can be.
pub(super) async fn until_stored<T, F>(call_id: &str, write: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    loop {
        match write().await {
            Ok(stored) => return stored,
            Err(error) => warn!(call = call_id, %error, "what became of an attempt waits to be stored"),
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

/// How long commits are gathered before the tables are looked at.
const COALESCE: Duration = Duration::from_millis(10);

/// The shortest time between two looks that nothing asked for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The longest.
const IDLE: Duration = Duration::from_secs(30);

/// How long a store that does not answer is left alone.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// How long attempts under way may take at the stop.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
