//! Changing the session of an answered call: re-INVITE and UPDATE, both ways (RFC 3261 §14, RFC 3311).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::leg::{Held, Offers, Phase, ReofferIn};
use super::server::ServerKey;
use super::session_timer::{Agreed, TooShort};
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
        if !matches!(leg.phase, Phase::Up) {
            return self.refuse_busy(flow, request);
        }
        let offers = &mut leg.offers;
        if offers.ours.is_some() {
            return self.answer_once(now, flow, key, request, (491, "Request Pending"), |_| {});
        }
        if offers.theirs.is_some() || offers.held.as_ref().is_some_and(|h| h.key != key) {
            return self.refuse_busy(flow, request);
        }
        if leg.unacked.is_some() {
            // It overtook the ACK of our 200: wait a little for it.
            if offers.held.is_none() {
                let until = now + HELD_MAX;
                offers.held = Some(Box::new(Held { flow, key, request: request.clone(), until }));
                self.arm_leg(id);
            }
            return;
        }
        match self.settle_again(id, request) {
            Ok(agreed) => self.offer_to_user(now, flow, key, request, id, Some(agreed)),
            Err(TooShort) => self.refuse_too_short(flow, request),
        }
    }

    /// What a refreshing request within the dialog settles: who refreshes stays who it is (RFC 4028 §9).
    fn settle_again(&self, id: LegId, request: &Message) -> Result<Agreed, TooShort> {
        let timer = self.legs.get(&id).and_then(|leg| leg.session.as_ref());
        self.settings.session.settle(request, timer.map(|timer| timer.refresher))
    }

    /// 422 with our minimum (RFC 4028 §9).
    pub(super) fn refuse_too_short(&mut self, flow: Flow, request: &Message) {
        let min = self.settings.session.min.as_secs().to_string();
        self.refuse_with(flow, request, 422, "Session Interval Too Small", |r| r.headers.push("Min-SE", min));
    }

    pub(super) fn handle_update(
        &mut self,
        now: Instant,
        flow: Flow,
        key: ServerKey,
        request: &Message,
        id: LegId,
    ) {
        let Ok(agreed) = self.settle_again(id, request) else { return self.refuse_too_short(flow, request) };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if request.body.is_empty() {
            leg.dialog.refresh_target(request);
            let contact = leg.dialog.contact();
            // Only an answered call has a session to refresh.
            let agreed = matches!(leg.phase, Phase::Up).then_some(agreed);
            self.answer_once(now, flow, key, request, (200, "OK"), |r| accept_change(r, &contact, agreed));
            if let Some(agreed) = agreed {
                self.start_session(now, id, agreed);
            }
            return;
        }
        let our_offer_waits = leg.offers.ours.is_some()
            || matches!(&leg.phase, Phase::Calling(c) if !c.has_answer_of(leg.dialog.remote_tag.as_deref()));
        let their_offer_waits = leg.offers.theirs.is_some()
            || leg.unacked.is_some()
            || match &leg.phase {
                Phase::Ringing(ringing) => !ringing.reliability.described() || leg.unpracked.is_some(),
                Phase::Calling(_) | Phase::Up => false,
                Phase::Leaving(_) => true,
            };
        // RFC 3311 §5.2.
        if our_offer_waits {
            self.answer_once(now, flow, key, request, (491, "Request Pending"), |_| {});
        } else if their_offer_waits {
            self.refuse_busy(flow, request);
        } else {
            self.offer_to_user(now, flow, key, request, id, Some(agreed));
        }
    }

    pub(super) fn offer_to_user(
        &mut self,
        now: Instant,
        flow: Flow,
        key: ServerKey,
        request: &Message,
        id: LegId,
        session: Option<Agreed>,
    ) {
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
        leg.offers.theirs =
            Some(ReofferIn { tx, offered: offer.is_some(), session, until: now + REOFFER_MAX });
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
            let Some(session) = reoffer.session else { return Err(CommandError::WrongState) };
            self.accept_invite(now, id, (tx, false), Some(sdp), reoffer.offered, session);
        } else {
            let Some(leg) = self.legs.get_mut(&id) else { return Err(CommandError::Ended) };
            leg.description = Bytes::copy_from_slice(sdp.as_bytes());
            let contact = leg.dialog.contact();
            let is_up = matches!(leg.phase, Phase::Up);
            let agreed = reoffer.session.filter(|_| is_up);
            self.respond(now, tx, 200, "OK", None, |r| {
                accept_change(r, &contact, agreed);
                r.set_body("application/sdp", sdp.as_bytes().to_vec());
            });
            if let Some(agreed) = agreed {
                self.start_session(now, id, agreed);
            }
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
        match &leg.phase {
            Phase::Leaving(_) => Err(CommandError::Ended),
            Phase::Ringing(_) | Phase::Calling(_) | Phase::Up => {
                leg.offers.theirs.take_if(|r| r.tx == tx).ok_or(CommandError::WrongState)
            }
        }
    }

    pub(super) fn expire_reoffer(&mut self, now: Instant, id: LegId) {
        let theirs = self.legs.get(&id).and_then(|leg| leg.offers.theirs.as_ref());
        let due = theirs.filter(|r| r.until <= now).map(|r| r.tx);
        if let Some(tx) = due {
            let _handled = self.reject_reoffer(now, id, tx, 500);
        }
    }

    /// The call ends while offers are open: theirs is refused (§15.1.2), ours forgotten.
    pub(super) fn drop_offers(&mut self, now: Instant, offers: Offers) {
        if let Some(reoffer) = offers.theirs {
            self.respond(now, reoffer.tx, 487, phrase(487), None, |_| {});
        }
        if let Some(held) = offers.held {
            self.refuse(held.flow, &held.request, 487, phrase(487));
        }
    }

    /// A re-INVITE; before the answer an UPDATE, once the first exchange of offer and answer is over and if the
    /// peer takes one (RFC 3311 §5.1).
    pub(super) fn send_reoffer(&mut self, now: Instant, id: LegId, sdp: &str) -> Result<(), CommandError> {
        let leg = self.legs.get(&id).ok_or(CommandError::Ended)?;
        let early = match &leg.phase {
            Phase::Up => false,
            Phase::Ringing(ringing) if ringing.reliability.described() && leg.unpracked.is_none() => true,
            Phase::Calling(calling) if calling.has_answer_of(leg.dialog.remote_tag.as_deref()) => true,
            Phase::Ringing(_) | Phase::Calling(_) => return Err(CommandError::WrongState),
            Phase::Leaving(_) => return Err(CommandError::Ended),
        };
        if leg.offers.is_open() || leg.unacked.is_some() || (early && !leg.dialog.peer_updates) {
            return Err(CommandError::WrongState);
        }
        let method = if early { "UPDATE" } else { "INVITE" };
        let tx = self.ask_in_dialog(now, id, method, |request, leg, settings| {
            if let Some(session) = &leg.session {
                settings.session.ask_again(request, session);
            }
            request.set_body("application/sdp", sdp.as_bytes().to_vec());
            leg.description = Bytes::copy_from_slice(sdp.as_bytes());
        })?;
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.offers.ours = Some(tx);
        }
        Ok(())
    }

    /// Whether this transaction is our open offer, which is closed by asking.
    pub(super) fn take_offer(&mut self, id: LegId, tx: TxId) -> bool {
        self.legs.get_mut(&id).is_some_and(|leg| leg.offers.ours.take_if(|t| *t == tx).is_some())
    }

    /// A refused re-INVITE leaves the session alone, unless the peer lost the dialog (§12.2.1.2).
    pub(super) fn on_reoffer_failure(&mut self, now: Instant, id: LegId, code: u16) {
        match code {
            408 | 481 => self.leave(now, id, EndedBy::Lost, None),
            _ => self.emit(id, LegEvent::ReofferRefused { code }),
        }
    }

    /// 500 with Retry-After: another offer is under way (§14.2).
    pub(super) fn refuse_busy(&mut self, flow: Flow, request: &Message) {
        let seconds = self.ids.below(10).to_string();
        self.refuse_with(flow, request, 500, "Request Pending", |r| r.headers.push("Retry-After", seconds));
    }
}

/// The 200 of an UPDATE.
fn accept_change(response: &mut Message, contact: &str, agreed: Option<Agreed>) {
    add_dialog_fields(response, contact, &[]);
    response.headers.push("Allow", crate::validate::allow());
    if let Some(agreed) = agreed {
        agreed.tell(response);
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
