//! Server transactions (RFC 3261 §17.2, RFC 6026): absorb retransmissions, repeat final responses,
//! forget after the last one can have arrived.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Flow, Hop, LegId, Machine, TimerKey, TxId};
use crate::message::{Message, stamp_received};

/// What makes two requests the same transaction (§17.2.3). CANCEL and ACK look for `INVITE`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServerKey {
    branch: String,
    sent_by: String,
    method: String,
}

/// What makes two requests the same although they came by different paths (§8.2.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct MergeKey {
    call_id: String,
    from_tag: String,
    cseq: u32,
}

/// A request that we answer, until its retransmissions are over.
#[derive(Debug)]
pub(super) struct ServerTx {
    pub(super) key: ServerKey,
    pub(super) merge_key: Option<MergeKey>,
    pub(super) flow: Flow,
    pub(super) leg: Option<LegId>,
    /// Where its answer goes when the connection that it came by is gone.
    reply_to: Option<Hop>,
    /// Via, From, To, Call-ID, CSeq of every response; emptied by the final one.
    pub(super) echo: Message,
    /// What it may keep, as counted against the limit: its echo, twice.
    octets: usize,
    phase: Phase,
    last: Option<Bytes>,
}

#[derive(Debug)]
enum Phase {
    /// No final response yet.
    Open,
    /// An INVITE was refused: repeat until the ACK (timers G, H).
    Refused { resend_at: Option<Instant>, interval: Duration, until: Instant },
    /// Answered: only retransmissions are expected (timers I, J, L).
    Done { until: Instant },
}

impl ServerKey {
    pub(super) fn of(request: &Message) -> Option<Self> {
        let via = request.top_via()?;
        let (number, method) = request.cseq()?;
        let method = if method == "ACK" || method == "CANCEL" { "INVITE" } else { method };
        let branch = match via.rfc3261_branch() {
            Some(branch) => branch.to_owned(),
            // RFC 2543 peers: the request's own coordinates. The To tag is left out, the ACK adds it.
            None => format!(
                "{number} {} {}",
                request.headers.first("Call-ID")?,
                request.tag("From").unwrap_or_default()
            ),
        };
        Some(Self { branch, sent_by: via.sent_by, method: method.to_owned() })
    }
}

impl MergeKey {
    pub(super) fn of(request: &Message) -> Option<Self> {
        Some(Self {
            call_id: request.headers.first("Call-ID")?.to_owned(),
            from_tag: request.tag("From").unwrap_or_default(),
            cseq: request.cseq()?.0,
        })
    }
}

impl ServerTx {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open => None,
            Phase::Refused { resend_at, until, .. } => Some(resend_at.unwrap_or(until).min(until)),
            Phase::Done { until } => Some(until),
        }
    }
}

impl Machine {
    /// Repeats what was last sent for a request that came before.
    pub(super) fn absorb_retransmission(&mut self, flow: Flow, key: &ServerKey) -> bool {
        let Some(tx) = self.server_keys.get(key).and_then(|id| self.servers.get(id)) else { return false };
        let (again, reply_to) = (tx.last.clone(), tx.reply_to.clone());
        self.counts.retransmissions_in += 1;
        if let Some(octets) = again {
            self.send(flow, octets, reply_to);
        }
        true
    }

    /// Remembers a request. `None` when the table is full.
    pub(super) fn open_server(&mut self, flow: Flow, key: ServerKey, request: &Message) -> Option<TxId> {
        let echo = echo(request, flow);
        let octets: usize = echo.headers.iter().map(|h| 2 * (h.name().len() + h.value.len())).sum();
        let limits = self.admission.limits();
        if self.transactions_open() >= limits.transactions_max
            || self.server_octets + octets > limits.transaction_octets_max
        {
            return None;
        }
        self.server_octets += octets;
        let id = self.ids.tx();
        let tx = ServerTx {
            key: key.clone(),
            merge_key: None,
            flow,
            leg: None,
            reply_to: reply_to(request, flow),
            echo,
            octets,
            phase: Phase::Open,
            last: None,
        };
        self.server_keys.insert(key, id);
        self.servers.insert(id, tx);
        Some(id)
    }

    /// Sends a response of a transaction; `shape` adds what the code needs beside the echoed fields.
    /// Returns the octets, for a caller that repeats them.
    pub(super) fn respond(
        &mut self,
        now: Instant,
        id: TxId,
        code: u16,
        reason: &str,
        to_tag: Option<&str>,
        shape: impl FnOnce(&mut Message),
    ) -> Option<Bytes> {
        let (t1, t4) = (self.settings.t1, self.settings.t4);
        let tx = self.servers.get_mut(&id)?;
        let mut response = response_from(&tx.echo, code, reason, to_tag);
        if code > 100 {
            response.headers.push("Server", &self.settings.user_agent);
        }
        shape(&mut response);
        let octets = response.encode();
        let reliable = tx.flow.transport.is_stream();
        tx.last = Some(octets.clone());
        if code >= 200 {
            tx.phase = match tx.key.method.as_str() {
                "INVITE" if code >= 300 => Phase::Refused {
                    resend_at: (!reliable).then(|| now + t1),
                    interval: t1,
                    until: now + t1 * 64,
                },
                // RFC 6026 §7.1: stays for retransmitted INVITEs on any transport.
                "INVITE" => Phase::Done { until: now + t1 * 64 },
                _ => Phase::Done { until: if reliable { now + t4 } else { now + t1 * 64 } },
            };
            tx.echo.headers = Default::default();
            if let Some(at) = tx.deadline() {
                self.timers.push(at, TimerKey::Server(id));
            }
        }
        self.reply(id, octets.clone());
        Some(octets)
    }

    /// Sends a response of a transaction, over a new connection if that of the request is gone (§18.2.2).
    pub(super) fn reply(&mut self, id: TxId, octets: Bytes) {
        if let Some(tx) = self.servers.get(&id) {
            let (flow, reply_to) = (tx.flow, tx.reply_to.clone());
            self.send(flow, octets, reply_to);
        }
    }

    /// The ACK of a refusal came (timer I).
    pub(super) fn confirm_refusal(&mut self, now: Instant, id: TxId) -> bool {
        let t4 = self.settings.t4;
        match self.servers.get_mut(&id) {
            Some(tx) if matches!(tx.phase, Phase::Refused { .. }) => {
                tx.phase = Phase::Done { until: now + t4 };
                tx.last = None;
                self.timers.push(now + t4, TimerKey::Server(id));
                true
            }
            Some(_) | None => false,
        }
    }

    /// The 200 of an INVITE was acknowledged: a retransmitted INVITE is absorbed without an answer.
    pub(super) fn silence_server(&mut self, id: TxId) {
        if let Some(tx) = self.servers.get_mut(&id) {
            tx.last = None;
        }
    }

    pub(super) fn fire_server(&mut self, now: Instant, id: TxId) {
        let t2 = self.settings.t2;
        let Some(tx) = self.servers.get_mut(&id) else { return };
        let Some(deadline) = tx.deadline() else { return };
        if deadline > now {
            return self.timers.push(deadline, TimerKey::Server(id));
        }
        let repeat = match &mut tx.phase {
            Phase::Refused { resend_at: Some(at), interval, until } if *until > now => {
                *interval = (*interval * 2).min(t2);
                *at = now + *interval;
                true
            }
            Phase::Open | Phase::Refused { .. } | Phase::Done { .. } => false,
        };
        if !repeat {
            return self.forget_server(id);
        }
        let (octets, next) = (tx.last.clone(), tx.deadline());
        if let Some(octets) = octets {
            self.counts.retransmissions_out += 1;
            self.reply(id, octets);
        }
        if let Some(at) = next {
            self.timers.push(at, TimerKey::Server(id));
        }
    }

    fn forget_server(&mut self, id: TxId) {
        if let Some(tx) = self.servers.remove(&id) {
            self.server_octets -= tx.octets;
            self.server_keys.remove(&tx.key);
            if let Some(merge_key) = tx.merge_key {
                self.merge_keys.remove(&merge_key);
            }
        }
    }

    /// Answers without remembering (§8.2.7): the same request gets the same To tag again.
    pub(super) fn refuse(&mut self, flow: Flow, request: &Message, code: u16, reason: &str) {
        self.refuse_with(flow, request, code, reason, |_| {});
    }

    pub(super) fn refuse_with(
        &mut self,
        flow: Flow,
        request: &Message,
        code: u16,
        reason: &str,
        shape: impl FnOnce(&mut Message),
    ) {
        let tag = self.ids.word_of(request.headers.first("Call-ID").unwrap_or(""));
        self.refuse_as(&tag, flow, request, code, reason, shape);
    }

    /// The same, with a To tag that is known already.
    pub(super) fn refuse_as(
        &mut self,
        tag: &str,
        flow: Flow,
        request: &Message,
        code: u16,
        reason: &str,
        shape: impl FnOnce(&mut Message),
    ) {
        if code >= 300 {
            tracing::debug!(code, reason, peer = %flow.peer, "SIP request refused");
        }
        let mut response = response_from(&echo(request, flow), code, reason, Some(tag));
        response.headers.push("Server", &self.settings.user_agent);
        shape(&mut response);
        self.send(flow, response.encode(), None);
    }

    pub(super) fn refuse_method(&mut self, flow: Flow, request: &Message) {
        self.refuse_with(flow, request, 405, "Method Not Allowed", |r| {
            r.headers.push("Allow", crate::validate::allow());
        });
    }

    pub(super) fn answer_options(&mut self, flow: Flow, request: &Message) {
        self.refuse_with(flow, request, 200, "OK", add_capabilities);
    }
}

/// The source of a stream's request with the port that its Via names: no address but the one it came from.
fn reply_to(request: &Message, flow: Flow) -> Option<Hop> {
    if !flow.transport.is_stream() {
        return None;
    }
    let via = request.top_via()?;
    let port = via.port().unwrap_or(flow.transport.default_port());
    let server_name = via.host().map(Into::into);
    Some(Hop { addr: SocketAddr::new(flow.peer.ip(), port), server_name })
}

/// The header fields that every response copies (§8.2.6.2), as a message to build responses from.
pub(crate) fn echo(request: &Message, flow: Flow) -> Message {
    let mut echo = Message::response(0, "");
    for (index, via) in request.headers.all("Via").enumerate() {
        let via = if index == 0 { stamp_received(via, flow.peer) } else { via.to_owned() };
        echo.headers.push("Via", via);
    }
    for name in ["From", "To", "Call-ID", "CSeq"] {
        for value in request.headers.all(name) {
            echo.headers.push(name, value);
        }
    }
    echo
}

/// A response with the echoed fields; the tag is added where To has none (not in 100).
pub(crate) fn response_from(echo: &Message, code: u16, reason: &str, to_tag: Option<&str>) -> Message {
    let mut response = Message::response(code, reason);
    response.headers = echo.headers.clone();
    if let (Some(tag), None, true) = (to_tag, echo.tag("To"), code > 100)
        && let Some(to) = echo.headers.first("To")
    {
        response.headers.set("To", format!("{to};tag={tag}"));
    }
    response
}

/// What OPTIONS tells (§11.2).
pub(super) fn add_capabilities(response: &mut Message) {
    response.headers.push("Allow", crate::validate::allow());
    response.headers.push("Accept", "application/sdp, application/dtmf-relay, application/dtmf");
    response.headers.push("Accept-Encoding", "identity");
    response.headers.push("Accept-Language", "en");
    response.headers.push("Supported", crate::validate::supported());
}
