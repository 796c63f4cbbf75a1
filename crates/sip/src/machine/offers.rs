//! Changing the session of an answered call: re-INVITE and UPDATE, both ways (RFC 3261 §14, RFC 3311).

use std::time::{Duration, Instant};

use super::leg::{Held, Phase, ReofferIn, Up};
use super::server::ServerKey;
use super::uas::add_dialog_fields;
use super::{CommandError, Flow, LegId, Machine, TxId};
use crate::call::{EndedBy, LegEvent};
use crate::message::Message;

impl Machine {
    pub(super) fn handle_reinvite(
        &mut self,
        now: Instant,
        flow: Flow,
        key: ServerKey,
        request: &Message,
        id: LegId,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let waits_for_ack = leg.unacked.is_some();
        let Phase::Up(up) = &mut leg.phase else { return self.refuse_busy(flow, request) };
        if up.reoffer_out.is_some() {
            return self.answer_once(now, flow, key, request, (491, "Request Pending"), |_| {});
        }
        if up.reoffer_in.is_some() || up.held.as_ref().is_some_and(|h| h.key != key) {
            return self.refuse_busy(flow, request);
        }
        if waits_for_ack {
            // It overtook the ACK of our 200: wait a little for it.
            if up.held.is_none() {
                let until = now + HELD_MAX;
                up.held = Some(Box::new(Held { flow, key, request: request.clone(), until }));
                self.arm_leg(id);
            }
            return;
        }
        self.offer_to_user(now, flow, key, request, id);
    }

    pub(super) fn handle_update(
        &mut self,
        now: Instant,
        flow: Flow,
        key: ServerKey,
        request: &Message,
        id: LegId,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if request.body.is_empty() {
            leg.dialog.refresh_target(request);
            return self
                .answer_once(now, flow, key, request, (200, "OK"), |r| add_dialog_fields(r, flow, &[]));
        }
        match &leg.phase {
            Phase::Up(up) if up.reoffer_out.is_some() => {
                self.answer_once(now, flow, key, request, (491, "Request Pending"), |_| {});
            }
            Phase::Up(up) if up.reoffer_in.is_none() && leg.unacked.is_none() => {
                self.offer_to_user(now, flow, key, request, id);
            }
            Phase::Up(_) | Phase::Ringing(_) | Phase::Calling(_) | Phase::Leaving(_) => {
                self.refuse_busy(flow, request);
            }
        }
    }

    fn offer_to_user(&mut self, now: Instant, flow: Flow, key: ServerKey, request: &Message, id: LegId) {
        let offer = crate::body::sdp_text(request);
        if offer.is_none() && !request.body.is_empty() {
            return self.answer_once(now, flow, key, request, (415, "Unsupported Media Type"), |r| {
                r.headers.push("Accept", "application/sdp");
            });
        }
        let Some(tx) = self.open_server(flow, key, request) else { return self.refuse_busy(flow, request) };
        if let Some(server) = self.servers.get_mut(&tx) {
            server.leg = Some(id);
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.dialog.refresh_target(request);
        if let Phase::Up(up) = &mut leg.phase {
            up.reoffer_in = Some(ReofferIn { tx, offered: offer.is_some(), until: now + REOFFER_MAX });
        }
        if request.method() == Some("INVITE") {
            self.respond(now, tx, 100, "Trying", None, |_| {});
        }
        self.arm_leg(id);
        self.emit(id, LegEvent::Reoffer { id: tx, offer });
    }

    pub(super) fn answer_reoffer(
        &mut self,
        now: Instant,
        id: LegId,
        tx: TxId,
        sdp: &str,
    ) -> Result<(), CommandError> {
        let reoffer = self.take_reoffer(id, tx)?;
        let is_invite = self.servers.get(&tx).and_then(|s| s.echo.cseq()).is_some_and(|(_, m)| m == "INVITE");
        if is_invite {
            self.accept_invite(now, id, tx, sdp, reoffer.offered, false);
        } else {
            let Some(flow) = self.servers.get(&tx).map(|s| s.flow) else { return Err(CommandError::Ended) };
            self.respond(now, tx, 200, "OK", None, |r| {
                add_dialog_fields(r, flow, &[]);
                r.set_body("application/sdp", sdp.as_bytes().to_vec());
            });
        }
        Ok(())
    }

    pub(super) fn reject_reoffer(
        &mut self,
        now: Instant,
        id: LegId,
        tx: TxId,
        code: u16,
    ) -> Result<(), CommandError> {
        self.take_reoffer(id, tx)?;
        self.respond(now, tx, code, phrase(code), None, |_| {});
        Ok(())
    }

    fn take_reoffer(&mut self, id: LegId, tx: TxId) -> Result<ReofferIn, CommandError> {
        let leg = self.legs.get_mut(&id).ok_or(CommandError::Ended)?;
        match &mut leg.phase {
            Phase::Up(up) => up.reoffer_in.take_if(|r| r.tx == tx).ok_or(CommandError::WrongState),
            Phase::Ringing(_) | Phase::Calling(_) => Err(CommandError::WrongState),
            Phase::Leaving(_) => Err(CommandError::Ended),
        }
    }

    pub(super) fn expire_reoffer(&mut self, now: Instant, id: LegId) {
        let due = match self.legs.get(&id).map(|l| &l.phase) {
            Some(Phase::Up(up)) => up.reoffer_in.as_ref().filter(|r| r.until <= now).map(|r| r.tx),
            Some(Phase::Ringing(_) | Phase::Calling(_) | Phase::Leaving(_)) | None => None,
        };
        if let Some(tx) = due {
            let _handled = self.reject_reoffer(now, id, tx, 500);
        }
    }

    /// The call ends while offers are open: theirs is refused (§15.1.2), ours forgotten.
    pub(super) fn drop_reoffers(&mut self, now: Instant, up: Up) {
        if let Some(reoffer) = up.reoffer_in {
            self.respond(now, reoffer.tx, 487, phrase(487), None, |_| {});
        }
        if let Some(held) = up.held {
            self.refuse(held.flow, &held.request, 487, phrase(487));
        }
    }

    pub(super) fn send_reoffer(&mut self, now: Instant, id: LegId, sdp: &str) -> Result<(), CommandError> {
        let branch = self.ids.branch();
        let leg = self.legs.get_mut(&id).ok_or(CommandError::Ended)?;
        let waits_for_ack = leg.unacked.is_some();
        match &leg.phase {
            Phase::Up(up) if up.reoffer_in.is_none() && up.reoffer_out.is_none() && !waits_for_ack => {}
            Phase::Leaving(_) => return Err(CommandError::Ended),
            Phase::Up(_) | Phase::Ringing(_) | Phase::Calling(_) => return Err(CommandError::WrongState),
        }
        let mut request = leg.dialog.request("INVITE", &branch, &self.settings.user_agent);
        request.headers.push("Allow", crate::validate::allow());
        request.set_body("application/sdp", sdp.as_bytes().to_vec());
        let (flow, reconnect) = leg.dialog.next_hop();
        let tx = self.open_client(now, flow, reconnect, branch, request, Some(id));
        if let Some(Phase::Up(up)) = self.legs.get_mut(&id).map(|l| &mut l.phase) {
            up.reoffer_out = Some(tx);
        }
        Ok(())
    }

    /// Whether this INVITE transaction is our open re-INVITE, which is closed by asking.
    pub(super) fn take_reoffer_out(&mut self, id: LegId, tx: TxId) -> bool {
        match self.legs.get_mut(&id).map(|l| &mut l.phase) {
            Some(Phase::Up(up)) => up.reoffer_out.take_if(|t| *t == tx).is_some(),
            Some(_) | None => false,
        }
    }

    /// A refused re-INVITE leaves the session alone, unless the peer lost the dialog (§12.2.1.2).
    pub(super) fn on_reoffer_failure(&mut self, now: Instant, id: LegId, code: u16) {
        match code {
            408 | 481 => self.leave(now, id, EndedBy::Timeout, None),
            _ => self.emit(id, LegEvent::ReofferRefused { code }),
        }
    }

    /// 500 with Retry-After: another offer is under way (§14.2).
    pub(super) fn refuse_busy(&mut self, flow: Flow, request: &Message) {
        let seconds = self.ids.below(10).to_string();
        self.refuse_with(flow, request, 500, "Request Pending", |r| r.headers.push("Retry-After", seconds));
    }
}

fn phrase(code: u16) -> &'static str {
    match code {
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        500 => "Server Internal Error",
        _ => "Request Refused",
    }
}

/// How long a re-INVITE waits for the ACK that it overtook.
const HELD_MAX: Duration = Duration::from_millis(200);

/// How long our user may think about an offer.
const REOFFER_MAX: Duration = Duration::from_secs(10);
