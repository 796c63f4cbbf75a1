//! The lines to our carriers: one for each trunk that says where its carrier is, kept in step with the configuration.
//!
//! A trunk that a reload leaves as it was keeps its registration; one that changed is taken back first and then
//! registered anew. Which calls may go out is decided elsewhere.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use patchcord_sip::digest::Account;
use patchcord_sip::trunk::{LineSettings, NameServer, Place, Reach, RegistrationState};
use patchcord_sip::{SipAgent, Subscriber, Transport, TrunkLine};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::clock::unix_ms;
use crate::config::{Carrier, Config, CurrentConfig, SipTransport, Trunk};
use crate::tasks::Tasks;

/// The lines that run.
pub struct TrunkLines {
    names: Arc<dyn NameServer>,
    lines: Mutex<Vec<Running>>,
}

/// A line in its task.
struct Running {
    name: String,
    line: Arc<TrunkLine>,
    /// Dropped, it tells the task to take the registration back and end.
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<()>>,
}

/// How a trunk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkStatus {
    /// Its name.
    pub name: String,
    /// Whether the carrier answers.
    pub reach: TrunkReach,
    /// Since when that is so, in milliseconds since 1970.
    pub since_ms: u64,
    /// Its registration, where it has one.
    pub registration: Option<TrunkRegistration>,
    /// The place that answered last.
    pub target: Option<String>,
    /// Why nothing could be sent the last time.
    pub trouble: Option<String>,
}

/// Whether a carrier answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkReach {
    /// Nobody knows: it was not asked, or has not answered yet.
    Unknown,
    /// It does.
    Up,
    /// It does not.
    Down,
}

/// How a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrunkRegistration {
    /// In a word: `registering`, `registered`, `failed`, `left`.
    pub state: &'static str,
    /// The status of the refusal.
    pub status: Option<u16>,
    /// Since when, in milliseconds since 1970.
    pub since_ms: u64,
}

impl TrunkReach {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::Up, Self::Down];

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

impl TrunkLines {
    /// None yet; carriers' names are asked of `names`.
    pub fn new(names: Arc<dyn NameServer>) -> Self {
        Self { names, lines: Mutex::default() }
    }

    /// The line of the trunk with that name.
    pub fn line(&self, name: &str) -> Option<Arc<TrunkLine>> {
        self.lines().iter().find(|running| running.name == name).map(|running| running.line.clone())
    }

    /// How every line stands, in the order of the configuration.
    pub fn statuses(&self) -> Vec<TrunkStatus> {
        self.lines().iter().map(|running| status_of(&running.name, &running.line)).collect()
    }

    /// Keeps the lines in step with the configuration, until the process stops.
    pub async fn follow(self: Arc<Self>, agent: Arc<SipAgent>, current: CurrentConfig, tasks: Tasks) {
        let mut changes = current.changes();
        loop {
            let config = changes.borrow_and_update().clone();
            self.apply(&agent, &config, &tasks);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = tasks.stop().cancelled() => return,
            }
        }
    }

    /// Takes every registration back, within a time; calls that are up may still go on by the lines.
    pub async fn stop(&self, patience: Duration) {
        let ends: Vec<_> = self.lines().iter_mut().filter_map(Running::end).collect();
        let all_ended = async {
            for end in ends {
                // A line that panicked has logged it.
                let _ = end.await;
            }
        };
        if tokio::time::timeout(patience, all_ended).await.is_err() {
            warn!("some carriers were not told that we leave: their registrations end by themselves");
        }
    }

    fn apply(&self, agent: &Arc<SipAgent>, config: &Config, tasks: &Tasks) {
        let mut before = std::mem::take(&mut *self.lines());
        let mut after = Vec::with_capacity(config.trunks.len());
        for trunk in &config.trunks {
            let Some(settings) = line_settings(trunk) else { continue };
            let old = before.iter().position(|running| running.name == trunk.name);
            let old = old.map(|at| before.swap_remove(at));
            after.push(match old {
                Some(running) if *running.line.settings() == settings => running,
                old => {
                    let line = Arc::new(TrunkLine::new(agent.clone(), self.names.clone(), settings));
                    begin(trunk.name.clone(), line, old.and_then(|mut old| old.end()), tasks)
                }
            });
        }
        *self.lines() = after;
        // The trunks that are gone end when their senders are dropped here.
        drop(before);
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Running>> {
        // Whole after every statement.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    /// Tells the line to end; the handle says when it has.
    fn end(&mut self) -> Option<JoinHandle<()>> {
        self.stop = None;
        self.task.take()
    }
}

/// Starts a line once the one that it replaces has ended.
fn begin(name: String, line: Arc<TrunkLine>, before: Option<JoinHandle<()>>, tasks: &Tasks) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let (runs, label, end) = (line.clone(), name.clone(), tasks.stop().clone());
    let task = tasks.spawn("trunk line", async move {
        if let Some(before) = before {
            let _ = before.await;
        }
        let watched = watch(&label, &runs);
        let stopped = async {
            tokio::select! {
                // Nothing is ever sent.
                _ = stopped => {}
                () = end.cancelled() => {}
            }
        };
        let run = runs.run(stopped);
        tokio::pin!(run, watched);
        tokio::select! {
            () = &mut run => {}
            () = &mut watched => run.await,
        }
    });
    Running { name, line, stop: Some(stop), task: Some(task) }
}

/// Logs each change of a line once.
async fn watch(name: &str, line: &TrunkLine) {
    let mut changes = line.watch();
    let mut told: Option<(TrunkReach, Option<&'static str>)> = None;
    loop {
        changes.mark_unchanged();
        let status = status_of(name, line);
        let now = (status.reach, status.registration.map(|registration| registration.state));
        if told.replace(now) == Some(now) {
            // The line lives for as long as this borrows it.
            let _ = changes.changed().await;
            continue;
        }
        let (reach, registration) = (status.reach.as_str(), now.1);
        let refused = status.registration.and_then(|registration| registration.status);
        let trouble = status.trouble.as_deref();
        if status.reach == TrunkReach::Down || registration == Some("failed") {
            warn!(
                trunk = name,
                reach, registration, refused, trouble, "the carrier cannot be used as it should"
            );
        } else if told.is_some() {
            info!(trunk = name, reach, registration, "carrier");
        }
    }
}

fn status_of(name: &str, line: &TrunkLine) -> TrunkStatus {
    let status = line.status();
    let since = |at: Instant| {
        let ago = u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        unix_ms().saturating_sub(ago)
    };
    TrunkStatus {
        name: name.to_owned(),
        reach: match status.reach {
            Reach::Unknown => TrunkReach::Unknown,
            Reach::Up => TrunkReach::Up,
            Reach::Down => TrunkReach::Down,
        },
        since_ms: since(status.reach_since),
        registration: status.registration.map(|(state, at)| {
            let (word, refused) = match state {
                RegistrationState::Asked => ("registering", None),
                RegistrationState::Registered => ("registered", None),
                RegistrationState::Failed(code) => ("failed", code),
                RegistrationState::Left => ("left", None),
            };
            TrunkRegistration { state: word, status: refused, since_ms: since(at) }
        }),
        target: status.target.map(|target| target.to_string()),
        trouble: status.trouble,
    }
}

/// The line of a trunk, where calls go out by it.
pub fn line_settings(trunk: &Trunk) -> Option<LineSettings> {
    let carrier = trunk.carrier.as_ref()?;
    let Carrier { host, port, transport, outbound_proxy, account, registration, options_interval } = carrier;
    let user = account.as_ref().map(|account| account.username.clone()).unwrap_or_default();
    let account = account.as_ref().and_then(|account| {
        let password = account.password.as_ref()?.expose().to_owned();
        Some(Account { username: account.auth_username.clone(), password })
    });
    let place = |host: &str, port: Option<u16>, transport: Option<SipTransport>| Place {
        host: host.to_owned(),
        port,
        transport: transport.map(|transport| match transport {
            SipTransport::Udp => Transport::Udp,
            SipTransport::Tcp => Transport::Tcp,
            SipTransport::Tls => Transport::Tls,
        }),
    };
    Some(LineSettings {
        carrier: place(host, *port, *transport),
        proxy: outbound_proxy.as_ref().map(|proxy| place(&proxy.host, proxy.port, proxy.transport)),
        subscriber: Arc::new(Subscriber { domain: host.clone(), account, user }),
        registration: *registration,
        options_interval: *options_interval,
        is_private: trunk.rules.privacy,
    })
}

/// A trunk's name as the value of a label of `/metrics`.
pub fn metric_label(name: &str) -> String {
    name.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

impl std::fmt::Debug for TrunkLines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.statuses()).finish()
    }
}
