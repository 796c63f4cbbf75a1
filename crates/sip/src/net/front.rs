//! The front door: octets in; a judged message, a stateless refusal or nothing out.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::time::Instant;

use crate::config::{SipConfig, SourceFilter};
use crate::counters::{Tally, bump};
use crate::gate::{Allowance, Directory, Strangers};
use crate::machine::{Flow, echo, response_from};
use crate::message::{self, Message, MessageFault, NameAddr, Parsed};
use crate::net::peers::Peers;
use crate::registrar::Locations;
use crate::tap::{SipTap, show_incoming, show_outgoing};
use crate::validate::{Refusal, Verdict, judge};

/// What to do with what came.
#[derive(Debug)]
pub(crate) enum Passage {
    Enter(Message),
    Answer(Bytes),
    /// The answer to a stranger, of whom nothing more is wanted.
    Dismiss(Bytes),
    /// No answer to a stranger, of whom nothing more is wanted.
    Ignore,
    Nothing,
}

/// Judges octets; shared by every reader.
pub(crate) struct Front {
    server: String,
    message_octets_max: usize,
    header_fields_max: usize,
    accept_source: Option<SourceFilter>,
    peers: Arc<Peers>,
    directory: Option<Arc<dyn Directory>>,
    locations: Locations,
    strangers: Strangers,
    answers: Mutex<Allowance>,
    tag_key: RandomState,
    tap: Option<SipTap>,
}

impl Front {
    pub(crate) fn new(config: &SipConfig, peers: Arc<Peers>) -> Self {
        Self {
            server: config.machine_settings().user_agent,
            message_octets_max: config.limits.message_octets_max,
            header_fields_max: config.limits.header_fields_max,
            accept_source: config.accept_source.clone(),
            peers,
            directory: config.directory.clone(),
            locations: config.locations.clone(),
            strangers: config.strangers,
            answers: Mutex::new(Allowance::new(
                ANSWERS_PER_SECOND,
                ANSWERS_AT_ONCE_MAX,
                config.limits.sources_max,
            )),
            tag_key: RandomState::new(),
            tap: config.tap.clone(),
        }
    }

    pub(crate) fn examine(&self, octets: &Bytes, flow: Flow, tally: &Tally) -> Passage {
        if octets.len() > self.message_octets_max {
            let head = octets.slice(..self.message_octets_max.min(octets.len()));
            return self.refuse(&self.parse(&head), too_large(), flow, tally);
        }
        let parsed = self.parse(octets);
        show_incoming(self.tap.as_ref(), flow, parsed.message.headers.first("Call-ID"), octets);
        if parsed.message.method().is_some() && !self.admits(&parsed.message, flow.peer.ip()) {
            return self.dismiss(&parsed, flow, tally);
        }
        match judge(&parsed) {
            Verdict::Accept => Passage::Enter(parsed.message),
            Verdict::Refuse(refusal) => self.refuse(&parsed, refusal, flow, tally),
            Verdict::Silence => silence(tally),
        }
    }

    /// Answers a message whose framing was lost, by what came of it.
    pub(crate) fn refuse_broken(&self, head: &Bytes, large: bool, flow: Flow, tally: &Tally) -> Passage {
        let parsed = self.parse(head);
        let refusal = match judge(&parsed) {
            _ if large => too_large(),
            Verdict::Refuse(refusal) => refusal,
            Verdict::Accept | Verdict::Silence => {
                Refusal { code: 400, reason: "Missing Content-Length", header: None }
            }
        };
        self.refuse(&parsed, refusal, flow, tally)
    }

    fn parse(&self, octets: &Bytes) -> Parsed {
        message::parse(octets, self.header_fields_max)
    }

    /// Whether any request of this source is let in: it may call, or has a phone that registered.
    fn knows(&self, source: IpAddr) -> bool {
        let may_call = self.accept_source.as_ref().is_none_or(|accept| accept(source));
        may_call || self.locations.has_source(source, Instant::now().into_std())
    }

    /// Whether a connection of this source may stay: it is known, or we called it.
    pub(crate) fn keeps(&self, source: IpAddr) -> bool {
        self.knows(source) || self.peers.knows(source)
    }

    /// Whether this source may connect: a phone that is about to register comes from anywhere.
    pub(crate) fn welcomes(&self, source: IpAddr) -> bool {
        self.keeps(source) || self.may_prove(source)
    }

    fn may_prove(&self, source: IpAddr) -> bool {
        self.directory.as_ref().is_some_and(|directory| directory.may_be_at(source))
    }

    /// Whether a request is let in. Whom we called may speak in that call's dialog; its tags are checked where the
    /// dialog is. Where phones may be, the machine has those prove who they are who register or call.
    fn admits(&self, request: &Message, source: IpAddr) -> bool {
        let is_within = request.tag("To").is_some();
        let leads_in =
            is_within || matches!(request.method(), Some("REGISTER" | "INVITE" | "ACK" | "CANCEL"));
        self.knows(source) || is_within && self.peers.knows(source) || leads_in && self.may_prove(source)
    }

    /// What a stranger gets: its source may be forged, so there is an end to answers.
    fn dismiss(&self, parsed: &Parsed, flow: Flow, tally: &Tally) -> Passage {
        bump(&tally.strangers);
        let has_answer = match self.strangers {
            Strangers::Refuse => {
                // The table is whole after every statement, so a panic elsewhere does not spoil it.
                let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
                answers.take(Instant::now().into_std(), flow.peer.ip())
            }
            Strangers::Silence => false,
        };
        if !has_answer {
            return Passage::Ignore;
        }
        let stranger = Refusal { code: 403, reason: "Forbidden", header: None };
        match self.refuse(parsed, stranger, flow, tally) {
            Passage::Answer(octets) => Passage::Dismiss(octets),
            other => other,
        }
    }

    /// Responses, ACKs and what is no SIP are never answered; nor is what has no Via, which no transaction
    /// could take the answer for, only the victim of a forged source address.
    fn refuse(&self, parsed: &Parsed, refusal: Refusal, flow: Flow, tally: &Tally) -> Passage {
        let request = &parsed.message;
        let has_via = request.headers.first("Via").is_some();
        let answerable = has_via && request.method().is_some_and(|m| m != "ACK");
        if !answerable || parsed.fault == Some(MessageFault::NotSip) {
            return silence(tally);
        }
        tally.refused(refusal.code);
        tracing::debug!(code = refusal.code, reason = refusal.reason, peer = %flow.peer, "SIP request refused");
        let tag = format!("{:016x}", self.tag_key.hash_one(request.headers.first("Call-ID")));
        let readable_to = request.headers.first("To").is_some_and(|to| NameAddr::parse(to).is_some());
        let tag = readable_to.then_some(tag.as_str());
        let mut response = response_from(&echo(request, flow), refusal.code, refusal.reason, tag);
        response.headers.push("Server", &self.server);
        if let Some((name, value)) = refusal.header {
            response.headers.push(name, value);
        }
        let octets = response.encode();
        show_outgoing(self.tap.as_ref(), flow, &octets);
        Passage::Answer(octets)
    }
}

fn silence(tally: &Tally) -> Passage {
    bump(&tally.silenced);
    Passage::Nothing
}

fn too_large() -> Refusal {
    Refusal { code: 513, reason: "Message Too Large", header: None }
}

/// Refusals to one stranger at once.
const ANSWERS_AT_ONCE_MAX: u32 = 50;

/// How many of them come back in a second.
const ANSWERS_PER_SECOND: f64 = 10.0;
