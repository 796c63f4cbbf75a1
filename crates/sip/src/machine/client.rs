//! Client transactions (RFC 3261 §17.1, RFC 6026): send, repeat, match the response, give up.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::dialog::Dialog;
use super::login::Pass;
use super::{Flow, Hop, LegId, LoneId, Machine, TimerKey, TxId};
use crate::message::Message;

/// What a response is matched by (§17.1.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClientKey {
    branch: String,
    method: String,
}

/// A request that we sent.
#[derive(Debug)]
pub(super) struct ClientTx {
    key: ClientKey,
    pub(super) flow: Flow,
    pub(super) reconnect: Option<Hop>,
    pub(super) leg: Option<LegId>,
    /// It belongs to no dialog.
    pub(super) lone: Option<LoneId>,
    pub(super) request: Message,
    /// What its challenges are answered with.
    pub(super) pass: Option<Pass>,
    octets: Bytes,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Repeated until a response comes (timers A, E), given up at `until` (B, F).
    Trying { resend_at: Option<Instant>, interval: Duration, until: Instant },
    /// A provisional response came.
    Proceeding { resend_at: Option<Instant>, until: Instant },
    /// An INVITE that went elsewhere because nobody was here; whoever is there all the same is cancelled, once.
    Abandoned { until: Instant, is_cancelled: bool, dialog: Box<Dialog> },
    /// A final response came; its repetitions are answered by the same ACK (D, M).
    Done { until: Instant, ack: Option<Bytes>, answered: Option<Box<AnsweredBy>> },
}

/// Who answered an INVITE, and the dialog that others who answer as well are hung up in when the call is over by then.
#[derive(Debug)]
pub(super) struct AnsweredBy {
    pub(super) tag: Option<String>,
    pub(super) dialog: Dialog,
}

impl ClientTx {
    pub(super) fn method(&self) -> &str {
        &self.key.method
    }

    pub(super) fn branch(&self) -> &str {
        &self.key.branch
    }

    /// Who answered, if it is an INVITE that made a call.
    pub(super) fn answered_by(&self) -> Option<&AnsweredBy> {
        match &self.phase {
            Phase::Done { answered, .. } => answered.as_deref(),
            Phase::Trying { .. } | Phase::Proceeding { .. } | Phase::Abandoned { .. } => None,
        }
    }

    pub(super) fn has_provisional(&self) -> bool {
        matches!(self.phase, Phase::Proceeding { .. })
    }

    fn deadline(&self) -> Instant {
        match self.phase {
            Phase::Trying { resend_at, until, .. } | Phase::Proceeding { resend_at, until } => {
                resend_at.unwrap_or(until).min(until)
            }
            Phase::Abandoned { until, .. } | Phase::Done { until, .. } => until,
        }
    }
}

impl Machine {
    /// Sends a request and remembers it.
    pub(super) fn open_client(
        &mut self,
        now: Instant,
        flow: Flow,
        reconnect: Option<Hop>,
        branch: String,
        request: Message,
        leg: Option<LegId>,
    ) -> TxId {
        let t1 = self.settings.t1;
        let octets = request.encode();
        let method = request.method().unwrap_or("").to_owned();
        let key = ClientKey { branch, method };
        let resend_at = (!flow.transport.is_stream()).then(|| now + t1);
        let phase = Phase::Trying { resend_at, interval: t1, until: now + t1 * 64 };
        let again = reconnect.clone();
        let tx = ClientTx {
            key: key.clone(),
            flow,
            reconnect: again,
            leg,
            lone: None,
            request,
            pass: leg.and_then(|leg| self.legs.get(&leg)?.pass.clone()),
            octets: octets.clone(),
            phase,
        };
        let id = self.ids.tx();
        self.timers.push(tx.deadline(), TimerKey::Client(id));
        self.client_keys.insert(key, id);
        self.clients.insert(id, tx);
        self.send(flow, octets, reconnect);
        id
    }

    pub(super) fn handle_response(&mut self, now: Instant, response: Message) {
        let found = response.top_via().zip(response.cseq()).and_then(|(via, (_, method))| {
            let branch = via.rfc3261_branch()?.to_owned();
            self.client_keys.get(&ClientKey { branch, method: method.to_owned() }).copied()
        });
        let (Some(id), Some(code)) = (found, response.code()) else {
            self.counts.strays += 1;
            return;
        };
        let Some(is_invite) = self.clients.get(&id).map(|tx| tx.method() == "INVITE") else { return };
        match code {
            ..200 if is_invite => self.invite_proceeds(now, id, &response),
            200..300 if is_invite => self.invite_accepted(now, id, &response),
            _ if is_invite => self.invite_refused(now, id, &response),
            ..200 => self.slow_down(now, id),
            _ if self.answer_challenge(now, id, &response) => drop(self.forget_client(id)),
            _ => self.finish_client(now, id, code, Some(&response)),
        }
    }

    fn invite_proceeds(&mut self, now: Instant, id: TxId, response: &Message) {
        let Some(tx) = self.clients.get_mut(&id) else { return };
        match tx.phase {
            Phase::Trying { .. } => {
                tx.phase = Phase::Proceeding { resend_at: None, until: now + RINGING_MAX };
                self.timers.push(now + RINGING_MAX, TimerKey::Client(id));
            }
            Phase::Proceeding { .. } => {}
            Phase::Abandoned { .. } => return self.cancel_abandoned(now, id),
            Phase::Done { .. } => return,
        }
        self.on_provisional(now, id, response);
    }

    fn invite_accepted(&mut self, now: Instant, id: TxId, response: &Message) {
        let until = now + self.settings.t1 * 64;
        let Some(tx) = self.clients.get_mut(&id) else { return };
        match tx.phase {
            Phase::Trying { .. } | Phase::Proceeding { .. } => {
                let leg = tx.leg.and_then(|leg| self.legs.get(&leg));
                let calling = leg.filter(|leg| leg.is_calling());
                let answered = calling.map(|leg| {
                    let (tag, dialog) = (response.tag("To"), leg.dialog.clone());
                    Box::new(AnsweredBy { tag, dialog })
                });
                tx.phase = Phase::Done { until, ack: None, answered };
                self.timers.push(until, TimerKey::Client(id));
                self.on_invite_success(now, id, response);
            }
            Phase::Abandoned { ref dialog, .. } => {
                let over = (Dialog::clone(dialog), tx.pass.clone());
                self.end_fork(now, over, response);
            }
            Phase::Done { .. } => self.on_invite_success_again(now, id, response),
        }
    }

    fn invite_refused(&mut self, now: Instant, id: TxId, response: &Message) {
        let linger = self.settings.t1 * 64;
        let Some(tx) = self.clients.get_mut(&id) else { return };
        if let Phase::Done { ack, .. } = &tx.phase {
            if let Some(ack) = ack.clone() {
                let (flow, reconnect) = (tx.flow, tx.reconnect.clone());
                self.send(flow, ack, reconnect);
            }
            return;
        }
        let is_ours = !matches!(tx.phase, Phase::Abandoned { .. });
        let ack = ack_of_refusal(&tx.request, response).encode();
        let until = if tx.flow.transport.is_stream() { now } else { now + linger };
        tx.phase = Phase::Done { until, ack: Some(ack.clone()), answered: None };
        let (flow, reconnect) = (tx.flow, tx.reconnect.clone());
        self.timers.push(until, TimerKey::Client(id));
        self.send(flow, ack, reconnect);
        if is_ours && !self.answer_challenge(now, id, response) {
            self.on_invite_failure(now, id, response);
        }
    }

    /// A provisional response to a non-INVITE: repeat only every T2 (§17.1.2.2).
    fn slow_down(&mut self, now: Instant, id: TxId) {
        let t2 = self.settings.t2;
        let Some(tx) = self.clients.get_mut(&id) else { return };
        if let Phase::Trying { resend_at, until, .. } = tx.phase {
            tx.phase = Phase::Proceeding { resend_at: resend_at.map(|_| now + t2), until };
            self.timers.push(tx.deadline(), TimerKey::Client(id));
        }
    }

    /// Shortens the wait of an INVITE whose CANCEL was sent (§9.1).
    pub(super) fn expect_cancelled(&mut self, now: Instant, id: TxId) {
        let limit = now + self.settings.t1 * 64;
        if let Some(ClientTx { phase: Phase::Proceeding { until, .. }, .. }) = self.clients.get_mut(&id) {
            *until = limit;
            self.timers.push(limit, TimerKey::Client(id));
        }
    }

    /// Gives up the wait for a first response earlier than the protocol would.
    pub(super) fn set_patience(&mut self, id: TxId, limit: Instant) {
        if let Some(ClientTx { phase: Phase::Trying { until, .. }, .. }) = self.clients.get_mut(&id) {
            *until = limit.min(*until);
            self.timers.push(*until, TimerKey::Client(id));
        }
    }

    /// Waits for nothing more of an INVITE that was sent elsewhere; who takes it all the same is hung up, in `dialog`,
    /// whatever has become of the call by then.
    pub(super) fn abandon_invite(&mut self, now: Instant, id: TxId, dialog: Dialog) {
        let until = now + self.settings.t1 * 64;
        if let Some(tx) = self.clients.get_mut(&id)
            && !matches!(tx.phase, Phase::Done { .. })
        {
            tx.phase = Phase::Abandoned { until, is_cancelled: false, dialog: Box::new(dialog) };
            self.timers.push(until, TimerKey::Client(id));
        }
    }

    /// Somebody is there after all: the first provisional response makes room for the CANCEL (§9.1), and whatever
    /// comes of that is waited for as long as a final response may take.
    fn cancel_abandoned(&mut self, now: Instant, id: TxId) {
        let limit = now + self.settings.t1 * 64;
        let Some(tx) = self.clients.get_mut(&id) else { return };
        let Phase::Abandoned { until, is_cancelled: is_cancelled @ false, .. } = &mut tx.phase else {
            return;
        };
        (*until, *is_cancelled) = (limit, true);
        let cancel = with_fields_of(&tx.request, "CANCEL");
        let (flow, reconnect, branch) = (tx.flow, tx.reconnect.clone(), tx.branch().to_owned());
        self.timers.push(limit, TimerKey::Client(id));
        self.open_client(now, flow, reconnect, branch, cancel, None);
    }

    /// Sends a request once more as a new transaction of the same owner, with the next CSeq number.
    pub(super) fn send_again(
        &mut self,
        now: Instant,
        id: TxId,
        mut request: Message,
        flow: Flow,
    ) -> Option<TxId> {
        let branch = self.ids.branch();
        let before = self.clients.get(&id)?;
        let (leg, lone) = (before.leg, before.lone);
        let reconnect = before.reconnect.clone().map(|hop| Hop { addr: flow.peer, ..hop });
        let (number, method) = request.cseq().map(|(number, method)| (number, method.to_owned()))?;
        let number = match leg.and_then(|leg| self.legs.get_mut(&leg)) {
            Some(leg) => {
                leg.dialog.local_cseq = leg.dialog.local_cseq.max(number).wrapping_add(1);
                leg.dialog.local_cseq
            }
            None => number.wrapping_add(1),
        };
        request.headers.set("Via", super::dialog::via(flow, &branch));
        request.headers.set("CSeq", format!("{number} {method}"));
        let again = self.open_client(now, flow, reconnect, branch, request, leg);
        if let Some(tx) = self.clients.get_mut(&again) {
            tx.lone = lone;
        }
        if let Some(leg) = leg.and_then(|leg| self.legs.get_mut(&leg)) {
            leg.follow(id, again);
        }
        Some(again)
    }

    pub(super) fn fire_client(&mut self, now: Instant, id: TxId) {
        let t2 = self.settings.t2;
        let Some(tx) = self.clients.get_mut(&id) else { return };
        if tx.deadline() > now {
            return self.timers.push(tx.deadline(), TimerKey::Client(id));
        }
        let is_invite = tx.key.method == "INVITE";
        let repeat = match &mut tx.phase {
            Phase::Trying { resend_at: Some(at), interval, until } if *until > now => {
                *interval = if is_invite { *interval * 2 } else { (*interval * 2).min(t2) };
                *at = now + *interval;
                true
            }
            Phase::Proceeding { resend_at: Some(at), until } if *until > now => {
                *at = now + t2;
                true
            }
            Phase::Abandoned { .. } | Phase::Done { .. } => {
                self.forget_client(id);
                return;
            }
            Phase::Trying { .. } | Phase::Proceeding { .. } => false,
        };
        if repeat {
            let (flow, octets, reconnect, at) =
                (tx.flow, tx.octets.clone(), tx.reconnect.clone(), tx.deadline());
            self.counts.retransmissions_out += 1;
            self.send(flow, octets, reconnect);
            self.timers.push(at, TimerKey::Client(id));
        } else if is_invite {
            self.on_invite_timeout(now, id);
        } else {
            self.finish_client(now, id, 408, None);
        }
    }

    fn finish_client(&mut self, now: Instant, id: TxId, code: u16, response: Option<&Message>) {
        if let Some(tx) = self.forget_client(id) {
            self.on_request_done(now, id, &tx, code, response);
        }
    }

    pub(super) fn forget_client(&mut self, id: TxId) -> Option<ClientTx> {
        let tx = self.clients.remove(&id)?;
        self.client_keys.remove(&tx.key);
        Some(tx)
    }
}

/// The ACK of a refusal belongs to the INVITE's transaction (§17.1.1.3).
fn ack_of_refusal(invite: &Message, response: &Message) -> Message {
    let mut ack = with_fields_of(invite, "ACK");
    if let Some(to) = response.headers.first("To") {
        ack.headers.set("To", to);
    }
    ack
}

/// ACK and CANCEL copy the INVITE's URI, top Via, Route, From, To, Call-ID and CSeq number.
pub(super) fn with_fields_of(invite: &Message, method: &str) -> Message {
    let uri = match &invite.start {
        crate::message::StartLine::Request { uri, .. } => uri.as_str(),
        crate::message::StartLine::Response { .. } => "",
    };
    let mut request = Message::request(method, uri);
    for header in invite.headers.iter() {
        if ["Via", "Max-Forwards", "Route", "From", "To", "Call-ID"].contains(&header.name()) {
            request.headers.push(header.name(), header.value.clone());
        }
    }
    let number = invite.cseq().map_or(0, |(number, _)| number);
    request.headers.push("CSeq", format!("{number} {method}"));
    request
}

/// How long an INVITE may ring before we cancel it ourselves (timer C's length, §16.6).
const RINGING_MAX: Duration = Duration::from_secs(180);
