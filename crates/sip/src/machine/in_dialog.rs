//! Requests of the peer within a dialog: BYE, INFO, UPDATE, OPTIONS, and which CSeq is too old (§12.2.2).

use std::time::Instant;

use super::leg::Phase;
use super::server::{ServerKey, add_capabilities};
use super::{Flow, LegId, Machine, NO_DIALOG};
use crate::call::{EndedBy, LegEvent, Rejection};
use crate::gate::Strangers;
use crate::message::Message;

impl Machine {
    pub(super) fn handle_in_dialog(&mut self, now: Instant, flow: Flow, key: ServerKey, request: Message) {
        let Some(id) = self.find_leg(flow, &request) else {
            return self.refuse_lost(now, flow, &request);
        };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some((number, method)) = request.cseq() else { return };
        if leg.dialog.remote_cseq.is_some_and(|last| number <= last) {
            return self.refuse(flow, &request, 500, "CSeq Out Of Order");
        }
        leg.dialog.remote_cseq = Some(number);
        // The newest request tells where the peer is (NAT rebinding, a new TCP connection).
        leg.dialog.flow = flow;
        let leaving = matches!(leg.phase, Phase::Leaving(_));
        match method {
            "BYE" => self.handle_bye(now, flow, key, &request, id),
            _ if leaving => self.refuse(flow, &request, 481, NO_DIALOG),
            "INVITE" => self.handle_reinvite(now, flow, key, &request, id),
            "UPDATE" => self.handle_update(now, flow, key, &request, id),
            "PRACK" => self.handle_prack(now, flow, key, &request, id),
            "INFO" => self.handle_info(now, flow, key, &request, id),
            "REFER" => self.handle_refer(now, flow, key, &request, id),
            "NOTIFY" => self.handle_notify(now, flow, key, &request, id),
            "OPTIONS" => self.answer_once(now, flow, key, &request, (200, "OK"), add_capabilities),
            _ => self.refuse_method(flow, &request),
        }
    }

    /// A request within no call of ours: 481, or to a stranger what strangers get.
    fn refuse_lost(&mut self, now: Instant, flow: Flow, request: &Message) {
        let source = flow.peer.ip();
        let is_known = self.settings.admits(source) || self.settings.locations.has_source(source, now);
        let is_answered = match self.settings.strangers {
            _ if is_known => true,
            Strangers::Refuse => self.admission.allow_challenge(now, source),
            Strangers::Silence => false,
        };
        if is_answered {
            self.refuse(flow, request, 481, NO_DIALOG);
        } else {
            self.counts.unanswered += 1;
        }
    }

    fn handle_bye(&mut self, now: Instant, flow: Flow, key: ServerKey, request: &Message, id: LegId) {
        self.answer_once(now, flow, key, request, (200, "OK"), |_| {});
        let reason = request.headers.first("Reason").map(str::to_owned);
        let Some(leg) = self.legs.get(&id) else { return };
        match &leg.phase {
            Phase::Ringing(ringing) => {
                let tx = ringing.invite;
                self.finish_invite(now, id, tx, &Rejection::new(487, "Request Terminated"));
                self.emit_terminal(id, LegEvent::Cancelled { reason });
            }
            Phase::Up => {
                self.remove_leg(now, id);
                self.emit_end(id, EndedBy::Remote, reason);
            }
            // A callee may not end a call that it has not answered: the INVITE decides.
            Phase::Calling(_) => {}
            // Both hung up at once: ours was told already.
            Phase::Leaving(_) => {
                self.remove_leg(now, id);
            }
        }
    }

    fn handle_info(&mut self, now: Instant, flow: Flow, key: ServerKey, request: &Message, id: LegId) {
        let content_type = request.headers.first("Content-Type").unwrap_or("");
        if request.body.is_empty() {
            return self.answer_once(now, flow, key, request, (200, "OK"), |_| {});
        }
        if !crate::body::is_digit_type(content_type) {
            return self.answer_once(now, flow, key, request, (415, "Unsupported Media Type"), |r| {
                r.headers.push("Accept", "application/dtmf-relay, application/dtmf");
            });
        }
        self.answer_once(now, flow, key, request, (200, "OK"), |_| {});
        let body = request.body.to_vec();
        self.emit(id, LegEvent::Info { content_type: content_type.to_owned(), body });
    }

    /// Answers a request of a dialog at once and remembers the answer for its retransmissions. With a full
    /// table the answer still goes out; a retransmission then meets the CSeq check.
    pub(super) fn answer_once(
        &mut self,
        now: Instant,
        flow: Flow,
        key: ServerKey,
        request: &Message,
        (code, reason): (u16, &str),
        shape: impl FnOnce(&mut Message),
    ) {
        match self.open_server(flow, key, request) {
            Some(tx) => {
                self.respond(now, tx, code, reason, None, shape);
            }
            None => self.refuse_with(flow, request, code, reason, shape),
        }
    }
}
