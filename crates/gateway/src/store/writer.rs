//! The one writer: takes what waits, writes it in one transaction, acknowledges after the commit.
//!
//! When the database fails it tries again until it works: nothing is dropped. It lives on a thread of its own, so
//! that neither calls nor HTTP feel the disk.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tracing::{error, info, warn};

use super::StoreError;
use super::engine::Link;
use super::open::Door;
use super::queue::{Entry, Queue};
use super::schema;
use super::work::{Done, Scribe, Work};
use crate::tasks::spawn_thread;

/// The thread that writes, joined at the very end.
pub struct StoreThread {
    queue: Arc<Queue>,
    over: mpsc::Receiver<()>,
    thread: JoinHandle<()>,
}

pub(super) struct Writer {
    pub(super) door: Door,
    pub(super) queue: Arc<Queue>,
    pub(super) scribe: Scribe,
    pub(super) committed: watch::Sender<u64>,
}

impl Writer {
    /// Starts the thread; resolves when the database is open and its schema ours.
    pub(super) async fn start(self) -> Result<StoreThread, StoreError> {
        let (ready, is_ready) = oneshot::channel();
        let (over, is_over) = mpsc::sync_channel(1);
        let queue = self.queue.clone();
        let no_thread = |error: io::Error| StoreError::Failed(error.to_string());
        let runtime = Builder::new_current_thread().enable_all().build().map_err(no_thread)?;
        let thread = spawn_thread("store", move || {
            runtime.block_on(self.run(ready));
            drop(over);
        });
        let thread = thread.map_err(no_thread)?;
        match is_ready.await {
            Ok(Ok(())) => Ok(StoreThread { queue, over: is_over, thread }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StoreError::Failed("its thread ended".to_owned())),
        }
    }

    async fn run(self, ready: oneshot::Sender<Result<(), StoreError>>) {
        let mut link = match self.open().await {
            Ok(link) => Some(link),
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        if ready.send(Ok(())).is_err() {
            return;
        }
        loop {
            match tokio::time::timeout(PULSE, self.queue.take()).await {
                Ok(Some(batch)) => {
                    self.write(&mut link, batch).await;
                    self.queue.put_away();
                }
                Ok(None) => break,
                Err(_) => self.look_after(&mut link).await,
            }
        }
        if let Some(link) = link {
            link.close().await;
        }
    }

    async fn open(&self) -> Result<Link, StoreError> {
        let mut link = self.door.writer().await?;
        schema::migrate(&mut link, &self.door.name()).await?;
        Ok(link)
    }

    /// Makes sure that the connection stands although nothing is to be written: with it ends the claim on this server's
    /// rows, and another process of its name would take them.
    async fn look_after(&self, link: &mut Option<Link>) {
        if !self.door.is_claimed_by_connection() {
            return;
        }
        let looked = async {
            if let Some(mut open) = link.take()
                && open.is_alive().await
            {
                return Ok(open);
            }
            self.door.writer().await
        };
        match tokio::time::timeout(TRANSACTION_TIMEOUT, looked).await.unwrap_or(Err(StoreError::Behind)) {
            Ok(open) => {
                *link = Some(open);
                self.recovered();
            }
            Err(error) => self.failed(&error),
        }
    }

    fn recovered(&self) {
        if self.queue.health.failing.swap(false, Ordering::Relaxed) {
            info!("the database takes writes again");
        }
    }

    fn failed(&self, error: &StoreError) {
        self.queue.health.failed();
        if !self.queue.health.failing.swap(true, Ordering::Relaxed) {
            error!(%error, "the database takes no writes; they wait and are tried again");
        }
    }

    /// Writes a batch, however long it takes; an entry that the database refuses for ever is given up alone.
    async fn write(&self, link: &mut Option<Link>, batch: Vec<Entry>) {
        match self.write_together(link, &batch).await {
            Some(Ok(done)) => {
                // Whoever hears of the commit finds it done with.
                self.queue.put_away();
                for (entry, done) in batch.into_iter().zip(done) {
                    if let (Work::Fact(call_id, _), Done::Found(false)) = (&entry.work, &done) {
                        self.queue.health.stray();
                        warn!(call = %call_id, "a fact of a call that is not stored is lost");
                    }
                    acknowledge(entry, Ok(done));
                }
            }
            Some(Err(_)) => {
                for entry in batch {
                    match self.write_together(link, std::slice::from_ref(&entry)).await {
                        Some(Ok(mut done)) => acknowledge(entry, done.pop().ok_or(StoreError::Behind)),
                        Some(Err(error)) => {
                            self.queue.health.refused();
                            error!(%error, "a write is given up");
                            acknowledge(entry, Err(error));
                        }
                        None => {}
                    }
                }
            }
            None => {}
        }
    }

    /// Writes what stands in `batch` by one commit; an error is one that a repetition would meet again. `None` when
    /// the process ends and the database does not come back.
    async fn write_together(
        &self,
        link: &mut Option<Link>,
        batch: &[Entry],
    ) -> Option<Result<Vec<Done>, StoreError>> {
        let mut wait = RETRY_FIRST;
        loop {
            let began = Instant::now();
            let error = match self.try_write(link, batch).await {
                Ok(done) => {
                    self.queue.health.committed(batch.len(), began.elapsed());
                    self.recovered();
                    self.committed.send_modify(|count| *count += 1);
                    return Some(Ok(done));
                }
                Err(error) if error.is_final() => return Some(Err(error)),
                Err(error) => error,
            };
            self.failed(&error);
            if self.queue.closed_for(STOP_PATIENCE) {
                warn!(
                    writes = batch.len(),
                    "writes are lost: the process ends and the database does not come back"
                );
                return None;
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_LAST);
        }
    }

    async fn try_write(&self, link: &mut Option<Link>, batch: &[Entry]) -> Result<Vec<Done>, StoreError> {
        // Taken out: whatever happens, a connection of unknown state is not used again.
        let mut open = match link.take() {
            Some(open) => open,
            None => self.door.writer().await?,
        };
        let written = match &open {
            Link::Sqlite(_) => self.transact(&mut open, batch).await,
            // A network that swallows everything says nothing.
            Link::Postgres(_) => {
                let transaction = self.transact(&mut open, batch);
                tokio::time::timeout(TRANSACTION_TIMEOUT, transaction)
                    .await
                    .unwrap_or(Err(StoreError::Behind))
            }
        };
        let sound = match &written {
            Ok(_) => true,
            Err(error) => error.is_final() && open.roll_back().await.is_ok(),
        };
        if sound {
            *link = Some(open);
        }
        written
    }

    async fn transact(&self, link: &mut Link, batch: &[Entry]) -> Result<Vec<Done>, StoreError> {
        link.begin().await?;
        let done = self.scribe.write(link, batch).await?;
        link.commit().await?;
        Ok(done)
    }
}

impl StoreThread {
    /// Writes what still waits and ends; gives up when the database does not come back.
    pub fn join(self) {
        self.queue.close();
        // The sender is dropped when the thread ends.
        if let Err(mpsc::RecvTimeoutError::Timeout) = self.over.recv_timeout(JOIN_PATIENCE) {
            error!("the database hangs: what waits for it is lost");
            return;
        }
        let _ = self.thread.join();
    }
}

impl fmt::Debug for StoreThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreThread").field("thread", &self.thread).finish_non_exhaustive()
    }
}

fn acknowledge(entry: Entry, done: Result<Done, StoreError>) {
    if let Some(told) = entry.done {
        // Whoever asked may have lost patience.
        let _ = told.send(done);
    }
}

/// How long the connection is left alone where nothing is to be written.
const PULSE: Duration = Duration::from_secs(1);
/// From the first failure to the next attempt; then twice as long each time.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// How long a transaction with PostgreSQL may take before its connection counts as dead.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a database that fails is waited for at the end of the process.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
/// The same for one that hangs.
const JOIN_PATIENCE: Duration = Duration::from_secs(15);
