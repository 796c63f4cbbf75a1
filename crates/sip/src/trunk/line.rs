//! A line to a carrier: asks the name service, keeps the registration and the watch, places calls.
//!
//! It lives in the task of whoever runs it; calls that it places do not wait for that task. Names are resolved
//! where somebody waits for them, never in the agent.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::keep_alive::{KeepAlive, Reach};
use super::registration::{RegisterAnswer, Registration, RegistrationState};
use super::targets::{NameServer, Place, Target, locate};
use crate::agent::SipAgent;
use crate::call::InviteRequest;
use crate::handle::{OutgoingCall, SipError};
use crate::machine::{CallLine, Flow, LoneAnswer, LoneRequest, Transport};
use crate::message::{Headers, NameAddr, SipUri};
use crate::subscriber::Subscriber;

/// What a line is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSettings {
    /// Where the carrier is.
    pub carrier: Place,
    /// Where everything is sent first.
    pub proxy: Option<Place>,
    /// Who we are there.
    pub subscriber: Arc<Subscriber>,
    /// How long a registration is asked to hold, where there is one.
    pub registration: Option<Duration>,
    /// How often it is asked whether it is there.
    pub options_interval: Option<Duration>,
    /// Whether callers are hidden from whom they call.
    pub is_private: bool,
}

/// A call to place by a line.
#[derive(Clone)]
pub struct TrunkCall {
    /// The number as the carrier wants it.
    pub number: String,
    /// The number that is shown; empty for nobody.
    pub caller: String,
    /// Our SDP offer.
    pub offer: String,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
}

/// How a line stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineStatus {
    /// Whether the carrier answers.
    pub reach: Reach,
    /// Since when that is so.
    pub reach_since: Instant,
    /// The registration, and since when it stands so, where there is one.
    pub registration: Option<(RegistrationState, Instant)>,
    /// Why nothing could be sent the last time, if so.
    pub trouble: Option<String>,
    /// The place that answered last.
    pub target: Option<Target>,
}

/// A line to a carrier.
pub struct TrunkLine {
    agent: Arc<SipAgent>,
    names: Arc<dyn NameServer>,
    settings: LineSettings,
    random: RandomState,
    drawn: AtomicU64,
    status: watch::Sender<LineStatus>,
    state: Mutex<LineState>,
}

#[derive(Default)]
struct LineState {
    /// The way to the registrar's own proxies (RFC 3608).
    service_routes: Vec<String>,
    /// Open connections, checked before each use; UDP needs none.
    flows: HashMap<Target, Flow>,
    /// Places that said nothing, or 503, and when.
    avoided: HashMap<Target, Instant>,
}

impl TrunkLine {
    /// A line that is not run yet.
    pub fn new(agent: Arc<SipAgent>, names: Arc<dyn NameServer>, settings: LineSettings) -> Self {
        let now = now();
        let status = LineStatus {
            reach: Reach::Unknown,
            reach_since: now,
            registration: settings.registration.map(|_| (RegistrationState::Asked, now)),
            trouble: None,
            target: None,
        };
        let (status, state) = (watch::Sender::new(status), Mutex::default());
        Self { agent, names, settings, random: RandomState::new(), drawn: AtomicU64::new(0), status, state }
    }

    /// What it is made of.
    pub fn settings(&self) -> &LineSettings {
        &self.settings
    }

    /// How it stands.
    pub fn status(&self) -> LineStatus {
        self.status.borrow().clone()
    }

    /// How it stands, for whoever waits for a change.
    pub fn watch(&self) -> watch::Receiver<LineStatus> {
        self.status.subscribe()
    }

    /// Keeps the registration and the watch until `stop` resolves, then takes the registration back.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let mut registration = self.settings.registration.map(|asked| Registration::new(now(), asked));
        let mut call_id = (None, 0);
        tokio::select! {
            () = stop => {}
            ((), ()) = async { tokio::join!(self.keep_registered(&mut registration, &mut call_id), self.keep_watch()) } => {}
        }
        let Some(registration) = &mut registration else { return };
        registration.leave(now());
        if registration.poll(now()).is_some() {
            let told = self.register(Duration::ZERO, &mut call_id);
            if let Ok(answer) = tokio::time::timeout(GOODBYE_MAX, told).await {
                registration.handle_answer(now(), &answer);
            }
        }
        self.note(|status| status.registration = Some((RegistrationState::Left, now())));
    }

    /// Places a call. Returns when the INVITE is on its way; challenges and places that do not answer are dealt with
    /// on the way, what becomes of it comes as events.
    ///
    /// # Errors
    /// [`SipError::Unreachable`] when no place of the carrier can be reached, [`SipError::Call`] when no call is free
    /// or a text cannot be sent.
    pub async fn invite(&self, call: TrunkCall) -> Result<OutgoingCall, SipError> {
        let subscriber = &self.settings.subscriber;
        let mut headers = call.headers;
        if !call.caller.is_empty() {
            let asserted = SipUri::format("sip", &call.caller, &subscriber.domain);
            headers.push(("P-Asserted-Identity".to_owned(), format!("<{asserted}>")));
        }
        if self.settings.is_private || call.caller.is_empty() {
            headers.push(("Privacy".to_owned(), "id".to_owned()));
        }
        let shown = if self.settings.is_private { String::new() } else { call.caller };
        let request = InviteRequest {
            target: self.uri_of(&call.number),
            from_user: shown,
            from_display: String::new(),
            offer: call.offer,
            headers,
        };
        let (place, routes) = self.first_hop();
        let targets = self.targets(&place).await?;
        let mut failure = SipError::NoTransport;
        for (index, target) in targets.iter().enumerate() {
            let flow = match self.flow_to(*target, &place).await {
                Ok(flow) => flow,
                Err(error) => {
                    self.avoid(*target);
                    failure = error;
                    continue;
                }
            };
            let rest = targets.iter().skip(index + 1).filter_map(|other| self.ready_flow(*other));
            let line = CallLine {
                subscriber: subscriber.clone(),
                routes,
                server_name: Some(place.host.as_str().into()),
                alternatives: rest.collect(),
            };
            return self.agent.invite_by(flow, line, request).await;
        }
        Err(failure)
    }

    /// Our address as the carrier sees it: what an SDP offer names when nothing else is configured.
    ///
    /// # Errors
    /// [`SipError::Unreachable`] when the carrier's name leads nowhere.
    pub async fn local_ip(&self) -> Result<IpAddr, SipError> {
        let (place, _) = self.first_hop();
        let targets = self.targets(&place).await?;
        let ip = targets.iter().find_map(|target| self.agent.ip_towards(target.addr));
        ip.ok_or_else(|| SipError::Unreachable(std::io::ErrorKind::AddrNotAvailable.into()))
    }

    async fn keep_registered(
        &self,
        registration: &mut Option<Registration>,
        call_id: &mut (Option<String>, u32),
    ) {
        let Some(registration) = registration else { return std::future::pending().await };
        loop {
            if let Some(asked) = registration.poll(now()) {
                let answer = self.register(asked, call_id).await;
                registration.handle_answer(now(), &answer);
            }
            let stands = Some((registration.state(), registration.since()));
            self.note(|status| status.registration = stands);
            sleep_until(registration.deadline()).await;
        }
    }

    async fn keep_watch(&self) {
        let Some(interval) = self.settings.options_interval else { return std::future::pending().await };
        let mut watch = KeepAlive::new(now(), interval);
        loop {
            if watch.poll(now()) {
                let is_there = self.ask("OPTIONS", Vec::new(), &mut (None, 0)).await.is_some();
                watch.handle_answer(now(), is_there);
            }
            self.note(|status| (status.reach, status.reach_since) = (watch.reach(), watch.since()));
            sleep_until(watch.deadline()).await;
        }
    }

    async fn register(&self, asked: Duration, call_id: &mut (Option<String>, u32)) -> RegisterAnswer {
        let headers = vec![("Expires", asked.as_secs().to_string())];
        let Some(answer) = self.ask("REGISTER", headers, call_id).await else {
            return RegisterAnswer::default();
        };
        if let Some(200..300) = answer.code {
            let routes =
                answer.headers.list("Service-Route").filter(|route| NameAddr::parse(route).is_some());
            self.state().service_routes = routes.take(ROUTES_MAX).map(str::to_owned).collect();
        }
        let seconds = |name| read_seconds(answer.headers.first(name)?);
        RegisterAnswer {
            code: answer.code,
            expires: granted(&answer.headers, &answer.contact).or_else(|| seconds("Expires")),
            min_expires: seconds("Min-Expires"),
            retry_after: seconds("Retry-After"),
        }
    }

    /// Sends a request to the places in their order until one of them answers anything but 503; `None` when nobody
    /// does. `call_id` is that of the requests before, with their last number.
    async fn ask(
        &self,
        method: &'static str,
        headers: Vec<(&'static str, String)>,
        call_id: &mut (Option<String>, u32),
    ) -> Option<LoneAnswer> {
        let place = self.settings.proxy.as_ref().unwrap_or(&self.settings.carrier);
        let targets = match self.targets(place).await {
            Ok(targets) => targets,
            Err(error) => {
                self.note(|status| status.trouble = Some(error.to_string()));
                return None;
            }
        };
        let mut busy = None;
        for target in targets {
            let request = LoneRequest {
                method,
                uri: self.uri_of(""),
                subscriber: self.settings.subscriber.clone(),
                routes: self.settings.proxy.iter().map(route_of).collect(),
                server_name: Some(place.host.as_str().into()),
                call_id: call_id.0.clone(),
                cseq: call_id.1 + 1,
                headers: headers.clone(),
                patience: PATIENCE,
            };
            let answer = match self.flow_to(target, place).await {
                Ok(flow) => self.agent.request(flow, request).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => {
                    *call_id = (Some(answer.call_id.clone()), answer.cseq);
                    if answer.code.is_some_and(|code| code != 503) {
                        self.state().avoided.remove(&target);
                        self.note(|status| (status.trouble, status.target) = (None, Some(target)));
                        return Some(answer);
                    }
                    let word = if answer.code.is_some() { "answers 503" } else { "does not answer" };
                    self.note(|status| status.trouble = Some(format!("{target} {word}")));
                    busy = busy.or(answer.code.is_some().then_some(answer));
                }
                Err(error) => self.note(|status| status.trouble = Some(format!("{target}: {error}"))),
            }
            self.avoid(target);
        }
        busy
    }

    /// The carrier's address of a number, or its own.
    fn uri_of(&self, number: &str) -> String {
        let Place { host, port, transport } = &self.settings.carrier;
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        let transport = match transport {
            Some(Transport::Tcp) => ";transport=tcp",
            Some(Transport::Tls) => ";transport=tls",
            Some(Transport::Udp) | None => "",
        };
        format!("{}{port}{transport}", SipUri::format("sip", number, host))
    }

    /// Where a call is sent, with the proxies that it goes by.
    fn first_hop(&self) -> (Place, Vec<String>) {
        let routes = self.state().service_routes.clone();
        let uri = routes.first().and_then(|route| NameAddr::parse(route)).map(|route| route.uri);
        if let Some(place) = uri.and_then(|uri| SipUri::parse(&uri).ok()).map(place_of) {
            return (place, routes);
        }
        match &self.settings.proxy {
            Some(proxy) => (proxy.clone(), vec![route_of(proxy)]),
            None => (self.settings.carrier.clone(), Vec::new()),
        }
    }

    /// The ways to a place; those that failed lately come last.
    async fn targets(&self, place: &Place) -> Result<Vec<Target>, SipError> {
        let usable = self.agent.transports();
        let mut draw = |most: u32| {
            let number = self.random.hash_one(self.drawn.fetch_add(1, Ordering::Relaxed));
            u32::try_from(number % (u64::from(most) + 1)).unwrap_or(0)
        };
        let located = locate(&*self.names, place, &usable, &mut draw);
        let located = tokio::time::timeout(RESOLVE_MAX, located)
            .await
            .map_err(|_| SipError::Unreachable(std::io::ErrorKind::TimedOut.into()))?;
        let mut targets = located.map_err(|error| SipError::Unreachable(std::io::Error::other(error)))?;
        let now = now();
        let mut state = self.state();
        state.avoided.retain(|_, at| now.saturating_duration_since(*at) < AVOIDED_FOR);
        targets.sort_by_key(|target| state.avoided.contains_key(target));
        Ok(targets)
    }

    async fn flow_to(&self, target: Target, place: &Place) -> Result<Flow, SipError> {
        if let Some(flow) = self.ready_flow(target) {
            return Ok(flow);
        }
        let flow = self.agent.flow_to(target, &place.host).await?;
        let mut state = self.state();
        let is_open = |flow: &Flow| self.agent.is_open(flow);
        state.flows.retain(|_, flow| is_open(flow));
        state.flows.insert(target, flow);
        Ok(flow)
    }

    /// A way that needs no waiting.
    fn ready_flow(&self, target: Target) -> Option<Flow> {
        match target.transport {
            Transport::Udp => self.agent.udp_flow(target.addr),
            Transport::Tcp | Transport::Tls => {
                self.state().flows.get(&target).copied().filter(|flow| self.agent.is_open(flow))
            }
        }
    }

    /// Changes the status; who watches hears of it where it differs.
    fn note(&self, change: impl FnOnce(&mut LineStatus)) {
        self.status.send_if_modified(|status| {
            let before = status.clone();
            change(status);
            *status != before
        });
    }

    fn avoid(&self, target: Target) {
        self.state().avoided.insert(target, now());
    }

    fn state(&self) -> MutexGuard<'_, LineState> {
        // Whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for TrunkLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrunkLine").field("status", &self.status()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for TrunkCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrunkCall")
    }
}

/// A loose route to a proxy.
fn route_of(proxy: &Place) -> String {
    let port = proxy.port.map(|port| format!(":{port}")).unwrap_or_default();
    let transport = match proxy.transport {
        Some(transport) => format!(";transport={}", transport.name().to_ascii_lowercase()),
        None => String::new(),
    };
    format!("<{}{port}{transport};lr>", SipUri::format("sip", "", &proxy.host))
}

fn place_of(uri: SipUri) -> Place {
    let transport = match uri.param("transport").map(str::to_ascii_lowercase).as_deref() {
        _ if uri.is_tls() => Some(Transport::Tls),
        Some("tcp") => Some(Transport::Tcp),
        Some("udp") => Some(Transport::Udp),
        _ => None,
    };
    Place { host: uri.host, port: uri.port, transport }
}

/// For how long a registrar keeps the binding with this Contact of ours (RFC 3261 §10.2.4).
fn granted(headers: &Headers, ours: &str) -> Option<Duration> {
    let place = |contact: &NameAddr| SipUri::parse(&contact.uri).ok().map(|uri| (uri.host, uri.port));
    let ours = NameAddr::parse(ours).as_ref().and_then(place)?;
    let mut contacts = headers.list("Contact").filter_map(NameAddr::parse);
    let own = contacts.find(|contact| place(contact).is_some_and(|place| place == ours))?;
    read_seconds(own.param("expires")?)
}

fn read_seconds(text: &str) -> Option<Duration> {
    // Retry-After may have a comment or parameters behind it.
    let digits: String = text.trim().chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().map(Duration::from_secs)
}

fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(tokio::time::Instant::from_std(deadline)).await,
        None => std::future::pending().await,
    }
}

/// How long a place may take for its first response to REGISTER and OPTIONS.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long the name service may take.
const RESOLVE_MAX: Duration = Duration::from_secs(5);
/// How long a stop waits for a registration to be taken back.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// How long a place that failed comes last.
const AVOIDED_FOR: Duration = Duration::from_secs(60);
/// Values of Service-Route that are kept.
const ROUTES_MAX: usize = 8;
