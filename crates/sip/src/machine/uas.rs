//! Calls that come in: INVITE, CANCEL, ACK, and our answers to the INVITE (RFC 3261 §8.2, §9.2, §13.3).

use std::time::Instant;

use bytes::Bytes;

use super::dialog::{Dialog, DialogKey};
use super::leg::{Leg, Phase, Ringing, Unacked};
use super::register::Unproven;
use super::reliable::{Provisional, Reliability};
use super::server::{MergeKey, ServerKey};
use super::session_timer::{Agreed, TooShort};
use super::{CommandError, Flow, LegId, Machine, NO_DIALOG, Output, TxId};
use crate::call::{EndedBy, Invitation, LegEvent, Rejection, format_q850};
use crate::message::Message;

impl Machine {
    pub(super) fn handle_invite(&mut self, now: Instant, flow: Flow, key: ServerKey, request: &Message) {
        let merge_key = MergeKey::of(request);
        if merge_key.as_ref().is_some_and(|k| self.merge_keys.contains_key(k)) {
            return self.refuse(flow, request, 482, "Loop Detected");
        }
        if self.legs.len() >= self.admission.limits().calls_max {
            return self.refuse_full(flow, request);
        }
        if !self.admission.allow_invite(now, flow.peer.ip()) {
            self.counts.refused_rate += 1;
            return self.refuse_with(flow, request, 503, "Too Many Requests", |r| {
                r.headers.push("Retry-After", "1");
            });
        }
        let extension = match self.caller_of(now, flow, request) {
            Ok(extension) => extension,
            Err(Unproven) => return,
        };
        let session = match self.settings.session.settle(request, None) {
            Ok(agreed) => agreed,
            Err(TooShort) => return self.refuse_too_short(flow, request),
        };
        let Some(tx) = self.open_server(flow, key, request) else { return self.refuse_full(flow, request) };
        let leg = self.ids.leg();
        let dialog = Dialog::of_invite(request, flow, self.ids.word());
        let mut invitation = Invitation::of(request, flow, request.uri().unwrap_or(""));
        invitation.extension = extension;
        let offered = invitation.offer.is_some();
        let first_number = u32::try_from(self.ids.below(1 << 31)).unwrap_or(0);
        let reliability = Reliability::of(request, first_number);
        let phase = Phase::Ringing(Ringing { invite: tx, offered, session, reliability });
        if let Some(server) = self.servers.get_mut(&tx) {
            server.leg = Some(leg);
            server.merge_key.clone_from(&merge_key);
        }
        if let Some(merge_key) = merge_key {
            self.merge_keys.insert(merge_key, tx);
        }
        self.dialogs.insert(dialog.key(), leg);
        self.legs.insert(leg, Leg::new(dialog, phase));
        self.counts.calls_in += 1;
        self.respond(now, tx, 100, "Trying", None, |_| {});
        self.outputs.push_back(Output::Incoming(leg, Box::new(invitation)));
    }

    /// 503 says when to come again; the slot was never taken.
    fn refuse_full(&mut self, flow: Flow, request: &Message) {
        self.counts.refused_full += 1;
        self.refuse_with(flow, request, 503, "Service Unavailable", |r| r.headers.push("Retry-After", "5"));
    }

    pub(super) fn handle_cancel(&mut self, now: Instant, flow: Flow, key: &ServerKey, request: &Message) {
        // Whoever cancels must sit where the INVITE came from: a branch alone can be overheard.
        let found = self
            .server_keys
            .get(key)
            .copied()
            .filter(|id| self.servers.get(id).is_some_and(|tx| tx.flow.peer.ip() == flow.peer.ip()));
        let Some(tx) = found else { return self.refuse(flow, request, 481, NO_DIALOG) };
        let server = self.servers.get(&tx);
        let (leg, open) = (server.and_then(|s| s.leg), server.is_some_and(|s| s.is_open()));
        match leg.and_then(|id| self.legs.get(&id)).map(|l| l.dialog.local_tag.clone()) {
            // The To tag of the INVITE's own responses (§9.2).
            Some(tag) => self.refuse_as(&tag, flow, request, 200, "OK", |_| {}),
            None => self.refuse(flow, request, 200, "OK"),
        }
        let Some(leg) = leg.filter(|_| open) else { return };
        match self.legs.get(&leg).map(|l| &l.phase) {
            Some(Phase::Ringing(_)) => {
                self.finish_invite(now, leg, tx, &Rejection::new(487, "Request Terminated"));
                let reason = request.headers.first("Reason").map(str::to_owned);
                self.emit_terminal(leg, LegEvent::Cancelled { reason });
            }
            Some(Phase::Up) => {
                // A re-INVITE may be cancelled too; the session stays.
                let _handled = self.reject_reoffer(now, leg, tx, 487);
            }
            Some(Phase::Calling(_) | Phase::Leaving(_)) | None => {}
        }
    }

    pub(super) fn handle_ack(&mut self, now: Instant, flow: Flow, key: &ServerKey, request: &Message) {
        let refused = self.server_keys.get(key).copied();
        if refused.is_some_and(|tx| self.confirm_refusal(now, tx)) {
            return;
        }
        let Some(id) = self.find_leg(flow, request) else {
            self.counts.strays += 1;
            return;
        };
        let cseq = request.cseq().map(|(number, _)| number);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(unacked) = leg.unacked.take_if(|u| Some(u.cseq) == cseq) else {
            return; // An ACK of a repeated 200: nothing waits for it.
        };
        let answer = if unacked.wants_answer { crate::body::sdp_text(request) } else { None };
        let held = match &leg.phase {
            Phase::Up => Some(leg.offers.held.take()),
            Phase::Ringing(_) | Phase::Calling(_) | Phase::Leaving(_) => None,
        };
        self.silence_server(unacked.tx);
        match held {
            Some(held) => {
                self.emit(
                    id,
                    if unacked.first {
                        LegEvent::Acked { answer }
                    } else {
                        LegEvent::ReofferAcked { answer }
                    },
                );
                if let Some(held) = held {
                    self.handle_reinvite(now, held.flow, held.key, &held.request, id);
                }
            }
            None => self.send_bye(now, id),
        }
    }

    /// The leg whose dialog a request of the peer belongs to (§12.2.2). Tags can be overheard: the request has to
    /// come from where the peer is, or from where our own requests go.
    pub(super) fn find_leg(&mut self, flow: Flow, request: &Message) -> Option<LegId> {
        let call_id = request.headers.first("Call-ID")?.to_owned();
        let local_tag = request.tag("To")?;
        let id = self.dialogs.get(&DialogKey { call_id, local_tag }).copied()?;
        let dialog = &self.legs.get(&id)?.dialog;
        if dialog.remote_tag != request.tag("From") {
            return None;
        }
        let (settings, source) = (&self.settings, flow.peer.ip());
        let (next, reconnect) = dialog.next_hop(settings);
        let places = [dialog.flow.peer, reconnect.map_or(next.peer, |hop| hop.addr)];
        let is_of_peer = places.iter().any(|place| settings.is_one_party(place.ip(), source));
        if !is_of_peer {
            tracing::debug!(peer = %flow.peer, "a SIP request within a call came from elsewhere");
            self.counts.intruders += 1;
        }
        is_of_peer.then_some(id)
    }

    /// Answers a call; at once, or as soon as the caller has confirmed a description that is on its way.
    pub(super) fn answer(&mut self, now: Instant, id: LegId, sdp: &str) -> Result<(), CommandError> {
        let leg = self.legs.get(&id).ok_or(CommandError::Ended)?;
        match &leg.phase {
            Phase::Ringing(_) => {}
            Phase::Leaving(_) => return Err(CommandError::Ended),
            Phase::Calling(_) | Phase::Up => return Err(CommandError::WrongState),
        }
        if !self.defer_answer(id, sdp) {
            self.accept_call(now, id, sdp);
        }
        Ok(())
    }

    pub(super) fn accept_call(&mut self, now: Instant, id: LegId, sdp: &str) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Phase::Ringing(ringing) = &leg.phase else { return };
        let (tx, session, offered) = (ringing.invite, ringing.session, ringing.offered);
        let described = ringing.reliability.described();
        // Our offer was answered in a PRACK already: a description in the 200 would be another offer. And what
        // changed since a reliable answer is not changed back by repeating that answer (RFC 3261 §13.2.1).
        let is_settled = described && (!offered || leg.description != sdp.as_bytes());
        let sdp = (!is_settled).then_some(sdp);
        leg.phase = Phase::Up;
        leg.unpracked.iter_mut().for_each(Provisional::stop);
        self.accept_invite(now, id, (tx, true), sdp, offered || described, session);
    }

    /// 200 to an INVITE (the `first` of its leg, or a re-INVITE); it is repeated until the ACK.
    pub(super) fn accept_invite(
        &mut self,
        now: Instant,
        id: LegId,
        (tx, first): (TxId, bool),
        sdp: Option<&str>,
        offered: bool,
        session: Agreed,
    ) {
        let t1 = self.settings.t1;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let (tag, routes) = (leg.dialog.local_tag.clone(), leg.dialog.routes.clone());
        let contact = leg.dialog.contact();
        if let Some(sdp) = sdp {
            leg.description = Bytes::copy_from_slice(sdp.as_bytes());
        }
        let cseq = self.servers.get(&tx).and_then(|s| s.echo.cseq()).map(|(number, _)| number);
        let Some(cseq) = cseq else { return };
        let sent = self.respond(now, tx, 200, "OK", Some(&tag), |r| {
            add_dialog_fields(r, &contact, &routes);
            r.headers.push("Allow", crate::validate::allow());
            r.headers.push("Supported", crate::validate::supported());
            r.headers.push("Accept", "application/sdp");
            session.tell(r);
            if let Some(sdp) = sdp {
                r.set_body("application/sdp", sdp.as_bytes().to_vec());
            }
        });
        let (Some(octets), Some(leg)) = (sent, self.legs.get_mut(&id)) else { return };
        leg.unacked = Some(Unacked {
            tx,
            cseq,
            first,
            wants_answer: !offered,
            octets,
            resend_at: now + t1,
            interval: t1,
            until: now + t1 * 64,
        });
        self.start_session(now, id, session);
        self.arm_leg(id);
    }

    pub(super) fn reject(
        &mut self,
        now: Instant,
        id: LegId,
        rejection: &Rejection,
    ) -> Result<(), CommandError> {
        let leg = self.legs.get(&id).ok_or(CommandError::Ended)?;
        let Phase::Ringing(ringing) = &leg.phase else { return Err(CommandError::WrongState) };
        let tx = ringing.invite;
        self.finish_invite(now, id, tx, rejection);
        let reason = rejection.q850.as_ref().map(|(cause, text)| format_q850(*cause, text));
        self.emit_end(id, EndedBy::Local, reason);
        Ok(())
    }

    /// Refuses the INVITE of a ringing leg and forgets the leg; the transaction waits for its ACK alone.
    pub(super) fn finish_invite(&mut self, now: Instant, id: LegId, tx: TxId, rejection: &Rejection) {
        let Some(leg) = self.remove_leg(now, id) else { return };
        let code = if (300..700).contains(&rejection.code) { rejection.code } else { 500 };
        let reason: String = rejection.reason.chars().filter(|c| !c.is_control()).collect();
        self.respond(now, tx, code, &reason, Some(&leg.dialog.local_tag), |r| {
            if let Some(seconds) = rejection.retry_after {
                r.headers.push("Retry-After", seconds.to_string());
            }
            if let Some((cause, text)) = &rejection.q850 {
                r.headers.push("Reason", format_q850(*cause, text));
            }
        });
    }
}

/// What a response that makes a dialog carries (§12.1.1).
pub(super) fn add_dialog_fields(response: &mut Message, contact: &str, routes: &[String]) {
    for route in routes {
        response.headers.push("Record-Route", route.clone());
    }
    response.headers.push("Contact", contact);
}
