//! The service: its parts are started in order and stopped in reverse.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use patchcord_core::vocabulary::Reason;
use patchcord_sip::{
    BindError, IncomingCall, ListenAddr, SessionTimes, SipAgent, SipConfig, SipLimits, SipTap, SipTrace,
};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::calls::{
    CALLS_MAX, Exchange, Labels, Locations, PhoneMemory, Phonebook, Records, RecordsThread, Registry,
    SipLadders, WireLog, WireLogThread, attend_queues, give_signs_of_life, inbound, recover,
};
use crate::clock::{Clock, unix_ms};
use crate::config::{Config, CurrentConfig, ExternalIp, Listener, SipTransport};
use crate::http::{self, SipView, TlsDoor};
use crate::jobs::{Courier, Extractor, Writing, event_body};
use crate::leavings::{self, Leavings};
use crate::net::{read_sip_tls, sip_tls_of_caller};
use crate::recording::{CallLinks, Links, RecorderThreads, Studio};
use crate::store::{Store, StoreThread, StoredCall};
use crate::tasks::{Tasks, WorkerThreads, blocking};

/// A running service.
pub struct App {
    exchange: Arc<Exchange>,
    sip: Option<Arc<SipAgent>>,
    places: Places,
    records: RecordsThread,
    recorder: RecorderThreads,
    store: StoreThread,
    wire_log: Option<WireLogThread>,
    workers: WorkerThreads,
}

/// Where the service listens, with real ports.
#[derive(Debug, Clone)]
pub struct Places {
    /// The HTTP port; `None` for `patchcord bot`.
    pub http: Option<SocketAddr>,
    /// The SIP sockets.
    pub sip: Vec<ListenAddr>,
    /// Ports for vendors that dial us.
    pub listeners: Vec<SocketAddr>,
}

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address could not be listened on.
    #[error("{key}: {problem}")]
    Listen {
        /// The key of the configuration that changes it.
        key: String,
        /// What is wrong.
        problem: String,
    },
    /// Something else.
    #[error("{0:#}")]
    Other(anyhow::Error),
}

/// Which parts a process needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    /// SIP, HTTP and listeners.
    All,
    /// Listeners alone.
    Listeners,
}

impl App {
    /// Starts the parts on the runtime that this is called on.
    ///
    /// # Errors
    /// [`StartError`]; what was started before is stopped by being dropped.
    pub async fn start(config: Config, parts: Parts) -> Result<Self, StartError> {
        let clock = Clock::start();
        let current = CurrentConfig::new(config);
        let config = current.snapshot();
        let (wire_log, wire_log_thread) = open_wire_log(&config)?.unzip();
        let locations = Locations::new(current.clone());
        let sip_ladders = SipLadders::default();
        let looks = (sip_ladders.clone(), wire_log.clone());
        let sockets = Sockets::open(&current, parts, &locations, looks).await?;
        let (tasks, workers) = Tasks::start(cores()).map_err(|error| StartError::Other(error.into()))?;
        let (records, records_thread) = Records::open(&config.server.data_dir, Labels::of(&config))
            .context("server.data_dir cannot be written")
            .map_err(StartError::Other)?;
        let (store, store_thread) = open_store(&current).await?;
        recover(&store, &records, &config).await.map_err(StartError::Other)?;
        let registry = Registry::new(CALLS_MAX);
        let (studio, recorder) =
            Studio::open(&config, &current, &tasks, &store).map_err(StartError::Other)?;
        let (leavings, desk) = Leavings::new(&config.server.data_dir, store.clone());
        let left = (store, records, wire_log, sip_ladders, studio, leavings);
        let Sockets { places, http, listeners, sip, tls } = sockets;
        let sip = sip.map(|(agent, calls)| (Arc::new(agent), calls));
        let agent = sip.as_ref().map(|(agent, _)| agent.clone());
        let exchange = Exchange::new(current, clock, tasks, registry, (locations, agent), left)
            .map_err(StartError::Other)?;
        let recalled = exchange.agent_hours.recall(&exchange.store, unix_ms()).await;
        recalled.context("storage.database").map_err(StartError::Other)?;
        let tasks = &exchange.tasks;
        tasks.spawn("leavings", desk.run(tasks.stop().clone()));
        tasks.spawn("queues", attend_queues(exchange.clone()));
        tasks.spawn("signs of life", give_signs_of_life(exchange.clone()));
        let (ladders, registry) = (exchange.sip_ladders.clone(), exchange.registry.clone());
        tasks.spawn("ladders", ladders.attend(exchange.store.clone(), registry, tasks.stop().clone()));
        tasks.spawn("callbacks", courier(&exchange).run(tasks.stop().clone()));
        tasks.spawn("extractions", extractor(&exchange).run(tasks.stop().clone()));
        #[cfg(not(feature = "otel"))]
        if exchange.config().otel.is_some() {
            warn!("[otel] changes nothing: this binary was built without the feature `otel`");
        }
        #[cfg(feature = "otel")]
        tasks.spawn("traces", trace_exporter(&exchange).run(tasks.stop().clone()));
        let sip = sip.map(|(agent, calls)| {
            let view = serve_sip(&exchange, &agent, calls);
            (agent, view)
        });
        let (sip, view) = sip.unzip();
        if let (Some(listener), Some(view)) = (http, view) {
            let router = http::main_router(exchange.clone(), view);
            tasks.spawn("http port", http::serve(listener, router, tls, tasks.clone()));
        }
        for (index, (listener, settings)) in listeners.into_iter().enumerate() {
            let router = http::listener_router(exchange.clone(), index, settings);
            tasks.spawn("listener", http::serve(listener, router, None, tasks.clone()));
        }
        Ok(Self {
            exchange,
            sip,
            places,
            records: records_thread,
            recorder,
            store: store_thread,
            wire_log: wire_log_thread,
            workers,
        })
    }

    /// Where it listens.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// What all calls share.
    pub fn exchange(&self) -> &Arc<Exchange> {
        &self.exchange
    }

    /// Refuses new calls, lets running ones end within `drain`, ends the rest with a goodbye, tells whoever is to be told
    /// of them, and stops the parts in reverse; once `hurry` resolves it waits for nobody. Every call has its record when
    /// this returns.
    pub async fn stop(self, drain: Duration, hurry: impl Future<Output = ()>) {
        let Self { exchange, sip, records, recorder, store, wire_log, workers, .. } = self;
        let registry = exchange.registry.clone();
        registry.drain();
        let running = registry.totals().active;
        info!(calls = running, drain_s = drain.as_secs(), "stopping: new calls are refused");
        // Carriers send their calls elsewhere meanwhile.
        exchange.trunk_lines.stop(LEAVE_TIMEOUT).await;
        let in_order = async {
            let _ = tokio::time::timeout(drain, registry.empty()).await;
            end_calls(&registry, GOODBYE_TIMEOUT).await;
            let _ = tokio::time::timeout(FILES_TIMEOUT, exchange.leavings.idle()).await;
            let _ = tokio::time::timeout(TELL_TIMEOUT, all_told(&exchange.store)).await;
        };
        tokio::select! {
            () = in_order => {}
            () = hurry => end_calls(&registry, HURRIED_TIMEOUT).await,
        }
        if let Some(agent) = sip {
            agent.shutdown().await;
        }
        exchange.tasks.shut_down(TASKS_STOP_TIMEOUT).await;
        exchange.store.close_readers().await;
        blocking(move || {
            workers.join();
            recorder.join();
            records.join();
            store.join();
            if let Some(wire_log) = wire_log {
                wire_log.join();
            }
        })
        .await;
        info!("stopped");
    }
}

async fn end_calls(registry: &Registry, patience: Duration) {
    let left = registry.totals().active;
    if left > 0 {
        warn!(calls = left, "ending the calls that are left");
        registry.hang_up_all(Reason::Drained);
        let _ = tokio::time::timeout(patience, registry.empty()).await;
    }
}

/// Resolves when no callback is due: who is told at the next start only may wait for it for hours.
async fn all_told(store: &Store) {
    let mut commits = store.commits();
    loop {
        commits.mark_unchanged();
        let is_due = match store.next_delivery_ms().await {
            Ok(next) => next.is_some_and(|at_ms| at_ms <= unix_ms()),
            Err(_) => return,
        };
        if (!is_due && store.figures().waiting == 0) || commits.changed().await.is_err() {
            return;
        }
    }
}

/// Everything that listens, opened before anything runs: a taken port leaves nothing behind.
struct Sockets {
    places: Places,
    http: Option<TcpListener>,
    listeners: Vec<(TcpListener, Listener)>,
    sip: Option<(SipAgent, mpsc::Receiver<IncomingCall>)>,
    tls: Option<TlsDoor>,
}

impl Sockets {
    async fn open(
        current: &CurrentConfig,
        parts: Parts,
        locations: &Locations,
        looks: Looks,
    ) -> Result<Self, StartError> {
        let config = current.snapshot();
        let mut listeners = Vec::with_capacity(config.listeners.len());
        let mut places = Places { http: None, sip: Vec::new(), listeners: Vec::new() };
        for (index, settings) in config.listeners.iter().enumerate() {
            let key = match parts {
                Parts::Listeners => "--listen".to_owned(),
                _ => format!("listeners[{index}].listen"),
            };
            let (listener, place) = bind(settings.listen, &key).await?;
            places.listeners.push(place);
            listeners.push((listener, settings.clone()));
        }
        if parts == Parts::Listeners {
            return Ok(Self { places, http: None, listeners, sip: None, tls: None });
        }
        let tls = TlsDoor::open(current.clone());
        let tls = tls.map_err(|(key, problem)| StartError::Listen { key: key.to_owned(), problem })?;
        let (http, place) = bind(config.http.listen, "http.listen").await?;
        places.http = Some(place);
        let sip = sip_config(&config, current.clone(), locations, looks)?;
        let sip = SipAgent::bind(sip).await.map_err(sip_error)?;
        places.sip = sip.0.local_addrs();
        Ok(Self { places, http: Some(http), listeners, sip: Some(sip), tls: Some(tls) })
    }
}

async fn bind(address: SocketAddr, key: &str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |error: io::Error| {
        let problem = match error.kind() {
            io::ErrorKind::AddrInUse => {
                format!(
                    "{address} is in use already: stop what listens there, perhaps another Patchcord, or choose another port"
                )
            }
            _ => format!("cannot listen on {address}: {error}"),
        };
        StartError::Listen { key: key.to_owned(), problem }
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let place = listener.local_addr().map_err(failed)?;
    Ok((listener, place))
}

fn open_wire_log(config: &Config) -> Result<Option<(WireLog, WireLogThread)>, StartError> {
    config
        .log
        .wire
        .then(|| WireLog::open(&config.server.data_dir))
        .transpose()
        .context("server.data_dir cannot be written")
        .map_err(StartError::Other)
}

fn courier(exchange: &Exchange) -> Courier {
    let files = exchange.leavings.clone();
    Courier {
        store: exchange.store.clone(),
        current: exchange.current.clone(),
        egress: exchange.egress.clone(),
        meter: exchange.callbacks.clone(),
        end_told: Arc::new(move |call_id| files.rewrite_call_file(call_id)),
    }
}

fn extractor(exchange: &Exchange) -> Extractor {
    let (store, files) = (exchange.store.clone(), exchange.leavings.clone());
    let result = move |call_id: String| -> Writing {
        let (store, is_written) = (store.clone(), files.rewritten(&call_id));
        Box::pin(async move {
            // A disk that takes nothing does not keep the webhook from being told.
            let _ = tokio::time::timeout(FILES_TIMEOUT, is_written).await;
            Ok(leavings::webhook_body(&store, &call_id).await?)
        })
    };
    Extractor {
        store: exchange.store.clone(),
        current: exchange.current.clone(),
        egress: exchange.egress.clone(),
        meter: exchange.extractions.clone(),
        result: Arc::new(result),
    }
}

#[cfg(feature = "otel")]
fn trace_exporter(exchange: &Exchange) -> crate::jobs::TraceExporter {
    crate::jobs::TraceExporter {
        traces: exchange.traces.clone(),
        current: exchange.current.clone(),
        egress: exchange.egress.clone(),
        store: exchange.store.clone(),
    }
}

async fn open_store(current: &CurrentConfig) -> Result<(Store, StoreThread), StartError> {
    let config = current.snapshot();
    let links = Links::open(&config.server.data_dir).context("the key of links to recordings");
    let links = CallLinks::new(links.map_err(StartError::Other)?, current.clone());
    let body = move |call: &StoredCall, event, at_ms| event_body(call, event, at_ms, links.of(call, at_ms));
    Store::open(&config.database(), &config.server.id, body)
        .await
        .context("storage.database")
        .map_err(StartError::Other)
}

/// Starts what attends to phones and carriers.
fn serve_sip(
    exchange: &Arc<Exchange>,
    agent: &Arc<SipAgent>,
    calls: mpsc::Receiver<IncomingCall>,
) -> SipView {
    let (tasks, current) = (&exchange.tasks, &exchange.current);
    let data_dir = &exchange.config().server.data_dir;
    let phones = PhoneMemory::new(data_dir, exchange.locations.clone(), current.clone());
    phones.recall(agent);
    tasks.spawn("phones", phones.keep(tasks.stop().clone()));
    let lines = exchange.trunk_lines.clone();
    tasks.spawn("trunks", lines.follow(agent.clone(), current.clone(), tasks.clone()));
    let inbound = tasks.spawn("inbound", inbound::serve(exchange.clone(), calls));
    SipView {
        is_taking_calls: Arc::new(move || !inbound.is_finished()),
        counters: Arc::new(agent.counter_reader()),
    }
}

fn sip_config(
    config: &Config,
    current: CurrentConfig,
    locations: &Locations,
    looks: Looks,
) -> Result<SipConfig, StartError> {
    let sip = &config.sip;
    let tls = sip.tls.as_ref().map_or_else(|| Ok(sip_tls_of_caller()), read_sip_tls);
    let tls = tls.map_err(|(key, problem)| StartError::Listen { key: key.to_owned(), problem })?;
    let near = current.clone();
    let listen = sip.listen.iter().map(|socket| match socket.transport {
        SipTransport::Udp => ListenAddr::Udp(socket.address),
        SipTransport::Tcp => ListenAddr::Tcp(socket.address),
        SipTransport::Tls => ListenAddr::Tls(socket.address),
    });
    Ok(SipConfig {
        listen: listen.collect(),
        user_agent: concat!("Patchcord/", env!("CARGO_PKG_VERSION")).to_owned(),
        advertise: match sip.external_ip {
            ExternalIp::Auto => None,
            ExternalIp::Fixed(ip) => Some(ip),
        },
        is_near: Some(Arc::new(move |address| near.snapshot().sip.is_near(address))),
        directory: Some(Arc::new(Phonebook(current.clone()))),
        locations: locations.registrations(),
        strangers: sip.strangers,
        accept_source: Some(Arc::new(move |address| current.snapshot().admits_caller(address))),
        session: SessionTimes { expires: sip.session_expires, min: sip.min_se },
        tls: Some(tls),
        // More than the calls that we count, so that our own refusal, with its record, comes first.
        limits: SipLimits { calls_max: CALLS_MAX + SIP_CALLS_SPARE, ..SipLimits::default() },
        tap: Some(tap(looks)),
    })
}

/// Who looks at SIP messages.
type Looks = (SipLadders, Option<WireLog>);

fn tap((ladders, wire_log): Looks) -> SipTap {
    Arc::new(move |trace: &SipTrace<'_>| {
        ladders.see(trace);
        if let Some(log) = &wire_log {
            log.sip(trace);
        }
    })
}

fn sip_error(error: BindError) -> StartError {
    let cure = if matches!(error, BindError::InUse(_)) { ": choose another port" } else { "" };
    StartError::Listen { key: "sip.listen".to_owned(), problem: format!("{error}{cure}") }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Legs beyond the calls at a time: those that are being refused or have just ended.
const SIP_CALLS_SPARE: usize = 200;

/// How long it may take to take our registrations back.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(1_500);

/// How long the calls that are told to end may take.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(6);

/// The same where somebody is in a hurry.
const HURRIED_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the callbacks that are due may take; what is left is sent at the next start.
const TELL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the files of the calls that ended may take.
const FILES_TIMEOUT: Duration = Duration::from_secs(5);

/// How long tasks may take to come to their end; a WebSocket's closing handshake takes at most two seconds.
const TASKS_STOP_TIMEOUT: Duration = Duration::from_secs(3);
