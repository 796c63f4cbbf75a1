//! The user agent as one state machine: transactions (RFC 3261 §17, RFC 6026) and dialogs (§12–15).
//!
//! It has no socket, clock or task: give it messages, commands and the time, drain its outputs, wake it at
//! its deadline. So every race and timer is tested in virtual time. The agent task owns it.
//! Every table in it is bounded by [`Limits`].

mod admission;
mod client;
mod dialog;
mod early;
mod elsewhere;
mod ids;
mod in_dialog;
#[cfg(test)]
mod laws;
mod leg;
mod login;
#[cfg(test)]
mod login_tests;
mod lone;
mod offers;
#[cfg(test)]
mod pair;
mod refer;
#[cfg(test)]
mod refer_tests;
mod refresh;
mod register;
#[cfg(test)]
mod register_tests;
mod reliable;
#[cfg(test)]
mod reliable_tests;
mod server;
#[cfg(test)]
mod session_tests;
mod session_timer;
#[cfg(test)]
mod tests;
mod timers;
mod uac;
mod uas;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::call::{Invitation, InviteRequest, LegEvent, Rejection};
use crate::config::SourceFilter;
use crate::gate::{Directory, Strangers};
use crate::message::{Message, StartLine};
use crate::registrar::Locations;
use admission::Admission;
pub use admission::Limits;
use client::{ClientKey, ClientTx};
use dialog::DialogKey;
pub use elsewhere::CallLine;
use ids::Ids;
pub use ids::{LegId, LoneId, TxId};
use leg::Leg;
use login::Logins;
pub use lone::{LoneAnswer, LoneRequest};
use server::{MergeKey, ServerKey, ServerTx};
pub(crate) use server::{echo, response_from};
pub use session_timer::{SHORTEST, SessionTimes};
use timers::{TimerKey, Timers};

/// How octets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams: we retransmit.
    Udp,
    /// A byte stream: the network retransmits.
    Tcp,
    /// An encrypted byte stream.
    Tls,
}

impl Transport {
    /// The name in a Via.
    pub fn name(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
        }
    }

    /// Whether messages travel over a connection.
    pub fn is_stream(self) -> bool {
        match self {
            Self::Udp => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// The port where a URI or Via names none (RFC 3261 §18.1.1).
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
        }
    }
}

/// Where a message came from and where its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Datagram or stream.
    pub transport: Transport,
    /// Our socket (UDP) or connection (TCP, TLS), numbered by the agent.
    pub link: u64,
    /// Our address as the peer should see it: Via and Contact carry it.
    pub local: SocketAddr,
    /// The peer's address as seen from here.
    pub peer: SocketAddr,
}

/// Where the requests of a call that we place go once its peer has named itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// To the target that the peer names (RFC 3261 §12.2.1.1).
    ToTarget,
    /// By the flow of the INVITE: the peer registered over it and may sit behind a NAT.
    ByFlow,
}

/// Where to connect when a connection is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The address.
    pub addr: SocketAddr,
    /// The name that a TLS certificate there has to prove.
    pub server_name: Option<Arc<str>>,
}

/// What the machine wants done.
pub enum Output {
    /// Octets to send.
    Send {
        /// Where to.
        flow: Flow,
        /// A whole message.
        octets: Bytes,
        /// Where to connect when the flow is a closed connection.
        reconnect: Option<Hop>,
    },
    /// A call came in; its events follow under this leg.
    Incoming(LegId, Box<Invitation>),
    /// Something happened on a leg.
    Event(LegId, LegEvent),
    /// The leg is over; no event follows.
    Closed(LegId),
    /// What came of a request outside of any dialog.
    Lone(LoneId, Box<LoneAnswer>),
}

/// What the holder of a leg wants.
pub enum Command {
    /// 180.
    Ringing,
    /// 183 with this SDP: early media.
    Progress(String),
    /// 200 with this SDP: the answer, or our offer when the INVITE had none.
    Answer(String),
    /// A final refusal.
    Reject(Rejection),
    /// End the call, whatever its state.
    Hangup(Option<String>),
    /// An INFO with a digit.
    Info(char, Duration),
    /// A REFER to this SIP URI.
    Refer(String),
    /// The answer to a REFER: whether it is taken.
    AnswerRefer(TxId, bool),
    /// A re-INVITE with this offer; an UPDATE before the answer.
    Reoffer(String),
    /// The answer to a re-INVITE or UPDATE.
    AnswerReoffer(TxId, String),
    /// The refusal of a re-INVITE or UPDATE.
    RejectReoffer(TxId, u16),
}

/// Why a command had no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The leg is over: cancelled, ended, timed out.
    #[error("the call has ended")]
    Ended,
    /// The command does not fit the state (a second answer, a digit before the answer).
    #[error("the call is not in a state for this")]
    WrongState,
    /// No room for another call or transaction.
    #[error("too many calls")]
    Full,
    /// The target is no SIP URI.
    #[error("the target is not a SIP URI")]
    BadTarget,
}

/// Timers and texts of the machine.
#[derive(Clone)]
pub struct Settings {
    /// Server and User-Agent.
    pub user_agent: String,
    /// Round-trip estimate T1 (RFC 3261 §17.1.1.1).
    pub t1: Duration,
    /// Largest retransmission interval T2.
    pub t2: Duration,
    /// How long a message may stay in the network, T4.
    pub t4: Duration,
    /// How long a session may go without a refresh.
    pub session: SessionTimes,
    /// Who may call us, and so may be named by a peer as where our requests go; `None`: anybody.
    pub accept_source: Option<SourceFilter>,
    /// The extensions, whose phones register here and prove who they are, and the carriers; `None`: there is no
    /// registrar.
    pub directory: Option<Arc<dyn Directory>>,
    /// Where those phones are.
    pub locations: Locations,
    /// What is answered to sources that may send nothing, where they name a call that is none.
    pub strangers: Strangers,
    /// Bounds.
    pub limits: Limits,
}

impl Settings {
    /// Whether two addresses are one party: the same, or both of one carrier.
    fn is_one_party(&self, one: IpAddr, other: IpAddr) -> bool {
        let carrier = |address| self.directory.as_ref().and_then(|directory| directory.carrier_of(address));
        let (one, other) = (one.to_canonical(), other.to_canonical());
        one == other || carrier(one).is_some_and(|found| carrier(other) == Some(found))
    }

    /// Whether an address may be where a stranger's dialog sends us.
    fn admits(&self, address: IpAddr) -> bool {
        self.accept_source.as_ref().is_none_or(|accepts| accepts(address))
    }
}

/// What the machine counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// INVITEs that became calls.
    pub calls_in: u64,
    /// INVITEs that we sent for new calls.
    pub calls_out: u64,
    /// INVITEs refused because a limit was reached.
    pub refused_full: u64,
    /// INVITEs refused because their source sent too many.
    pub refused_rate: u64,
    /// REGISTERs that were carried out.
    pub registers: u64,
    /// Requests that were asked to prove who sent them.
    pub challenged: u64,
    /// Requests whose credentials proved nothing: a wrong password, an unknown number, another one's number.
    pub unproven: u64,
    /// Requests whose credentials were not looked at, because their source had guessed too often.
    pub guessing: u64,
    /// Requests of nobody in particular that got no answer, because their source asked too often.
    pub unanswered: u64,
    /// Requests within a call that came from an address which has no part in it.
    pub intruders: u64,
    /// Retransmissions that were absorbed.
    pub retransmissions_in: u64,
    /// Messages that we sent again.
    pub retransmissions_out: u64,
    /// Responses and ACKs that belong to nothing.
    pub strays: u64,
    /// Legs ended because no ACK came.
    pub ack_timeouts: u64,
    /// Legs that exist.
    pub legs: u64,
    /// Transactions that exist.
    pub transactions: u64,
}

/// The state machine.
pub struct Machine {
    settings: Settings,
    ids: Ids,
    admission: Admission,
    servers: HashMap<TxId, ServerTx>,
    server_octets: usize,
    server_keys: HashMap<ServerKey, TxId>,
    merge_keys: HashMap<MergeKey, TxId>,
    clients: HashMap<TxId, ClientTx>,
    client_keys: HashMap<ClientKey, TxId>,
    legs: HashMap<LegId, Leg>,
    dialogs: HashMap<DialogKey, LegId>,
    logins: Logins,
    timers: Timers,
    outputs: VecDeque<Output>,
    counts: Counts,
}

impl Machine {
    /// A machine with no calls.
    pub fn new(settings: Settings) -> Self {
        let settings = Settings { session: settings.session.checked(), ..settings };
        Self {
            admission: Admission::new(settings.limits.clone()),
            settings,
            ids: Ids::new(),
            servers: HashMap::new(),
            server_octets: 0,
            server_keys: HashMap::new(),
            merge_keys: HashMap::new(),
            clients: HashMap::new(),
            client_keys: HashMap::new(),
            legs: HashMap::new(),
            dialogs: HashMap::new(),
            logins: Logins::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Takes a message that [`crate::validate`] accepted.
    pub fn handle_message(&mut self, now: Instant, flow: Flow, message: Message) {
        match &message.start {
            StartLine::Response { .. } => self.handle_response(now, message),
            StartLine::Request { .. } => self.handle_request(now, flow, message),
        }
    }

    /// Carries out a command.
    ///
    /// # Errors
    /// [`CommandError::Ended`] when the leg is over, [`CommandError::WrongState`] when it does not fit.
    pub fn handle_command(&mut self, now: Instant, leg: LegId, command: Command) -> Result<(), CommandError> {
        match command {
            Command::Ringing => self.ring(now, leg),
            Command::Progress(sdp) => self.progress(now, leg, sdp),
            Command::Answer(sdp) => self.answer(now, leg, &sdp),
            Command::Reject(rejection) => self.reject(now, leg, &rejection),
            Command::Hangup(reason) => self.hang_up(now, leg, reason),
            Command::Info(digit, duration) => self.send_info(now, leg, digit, duration),
            Command::Refer(target) => self.send_refer(now, leg, &target),
            Command::AnswerRefer(tx, is_taken) => self.answer_refer(now, leg, tx, is_taken),
            Command::Reoffer(sdp) => self.send_reoffer(now, leg, &sdp),
            Command::AnswerReoffer(tx, sdp) => self.answer_reoffer(now, leg, tx, &sdp),
            Command::RejectReoffer(tx, code) => self.reject_reoffer(now, leg, tx, code),
        }
    }

    /// Sends the INVITE of a new call over `flow`.
    ///
    /// # Errors
    /// [`CommandError::Full`] when no leg is free, [`CommandError::BadTarget`] when the target is no SIP URI.
    pub fn invite(
        &mut self,
        now: Instant,
        (flow, way): (Flow, Way),
        request: &InviteRequest,
    ) -> Result<LegId, CommandError> {
        self.start_call(now, (flow, way), request, None)
    }

    /// The same by a carrier: as its subscriber, and over the next of its flows where one fails (RFC 3263 §4.3).
    ///
    /// # Errors
    /// As [`Machine::invite`].
    pub fn invite_by(
        &mut self,
        now: Instant,
        flow: Flow,
        line: &CallLine,
        request: &InviteRequest,
    ) -> Result<LegId, CommandError> {
        self.start_call(now, (flow, Way::ToTarget), request, Some(line))
    }

    /// Sends a request outside of any dialog; [`Output::Lone`] tells what comes of it.
    ///
    /// # Errors
    /// [`CommandError::Full`] when no transaction is free, [`CommandError::BadTarget`] when a field would break the
    /// message.
    pub fn request(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &LoneRequest,
    ) -> Result<LoneId, CommandError> {
        self.send_lone(now, flow, request)
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(key) = self.timers.pop_due(now) {
            match key {
                TimerKey::Server(id) => self.fire_server(now, id),
                TimerKey::Client(id) => self.fire_client(now, id),
                TimerKey::Leg(id) => self.fire_leg(now, id),
            }
        }
    }

    /// The next thing to do; drain it after every call.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Machine::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        Counts {
            legs: self.legs.len() as u64,
            transactions: (self.servers.len() + self.clients.len()) as u64,
            ..self.counts
        }
    }

    /// The Call-ID of a leg.
    pub fn call_id(&self, leg: LegId) -> Option<&str> {
        self.legs.get(&leg).map(|leg| leg.dialog.call_id.as_str())
    }

    /// Every leg, to end them all.
    pub fn leg_ids(&self) -> Vec<LegId> {
        self.legs.keys().copied().collect()
    }

    fn handle_request(&mut self, now: Instant, flow: Flow, request: Message) {
        let Some(key) = ServerKey::of(&request) else { return };
        match request.method() {
            Some("ACK") => return self.handle_ack(now, flow, &key, &request),
            Some("CANCEL") => return self.handle_cancel(now, flow, &key, &request),
            _ => {}
        }
        if self.absorb_retransmission(flow, &key) {
            return;
        }
        let in_dialog = request.tag("To").is_some();
        match (request.method(), in_dialog) {
            (Some("INVITE"), false) => self.handle_invite(now, flow, key, &request),
            (Some("OPTIONS"), false) => self.answer_options(flow, &request),
            (Some("REGISTER"), false) => self.handle_register(now, flow, key, &request),
            (Some(_), true) => self.handle_in_dialog(now, flow, key, request),
            (Some("UPDATE" | "BYE" | "INFO" | "PRACK" | "REFER" | "NOTIFY"), false) => {
                self.refuse(flow, &request, 481, NO_DIALOG)
            }
            _ => self.refuse_method(flow, &request),
        }
    }

    fn send(&mut self, flow: Flow, octets: Bytes, reconnect: Option<Hop>) {
        self.outputs.push_back(Output::Send { flow, octets, reconnect });
    }

    fn emit(&mut self, leg: LegId, event: LegEvent) {
        self.outputs.push_back(Output::Event(leg, event));
    }

    fn transactions_open(&self) -> usize {
        self.servers.len() + self.clients.len()
    }
}

const NO_DIALOG: &str = "Call/Transaction Does Not Exist";
