//! Reliable provisional responses of ours: 180 and 183 that the caller confirms by PRACK (RFC 3262 §3, §5).
//!
//! One waits at a time; what our user wants next waits behind it. The caller's half is in `early`.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::leg::{Phase, Ringing};
use super::server::ServerKey;
use super::session_timer::has_option;
use super::uas::add_dialog_fields;
use super::{CommandError, Flow, LegId, Machine, NO_DIALOG, TxId};
use crate::call::{EndedBy, LegEvent, Rejection};
use crate::message::Message;

/// What the caller's INVITE allows, and how far we are.
#[derive(Debug)]
pub(super) struct Reliability {
    wish: Wish,
    /// The number of the last reliable response (§7.1).
    rseq: u32,
    /// Our description went out reliably; the exchange of offer and answer ends with its PRACK.
    described: bool,
    /// What follows the response that waits for its PRACK.
    next: Option<Next>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    No,
    Supported,
    Required,
}

#[derive(Debug)]
enum Next {
    Provisional(u16, Option<String>),
    Answer(String),
}

/// A reliable provisional response without its PRACK.
#[derive(Debug)]
pub(super) struct Provisional {
    tx: TxId,
    rseq: u32,
    cseq: u32,
    /// Our offer was in it: the answer will be in the PRACK.
    wants_answer: bool,
    described: bool,
    octets: Bytes,
    /// `None` once the INVITE is answered: the PRACK may still come, nothing waits for it.
    resend: Option<Resend>,
}

#[derive(Clone, Copy, Debug)]
struct Resend {
    at: Instant,
    interval: Duration,
    until: Instant,
}

impl Reliability {
    /// By the INVITE; the first number is the caller's to be surprised by (§3).
    pub(super) fn of(invite: &Message, rseq: u32) -> Self {
        let wish = if has_option(invite, "Require", "100rel") {
            Wish::Required
        } else if has_option(invite, "Supported", "100rel") {
            Wish::Supported
        } else {
            Wish::No
        };
        Self { wish, rseq, described: false, next: None }
    }

    pub(super) fn described(&self) -> bool {
        self.described
    }
}

impl Provisional {
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.resend.map(|resend| resend.at.min(resend.until))
    }

    /// The INVITE has its final response: no repetition follows (§3).
    pub(super) fn stop(&mut self) {
        self.resend = None;
    }
}

impl Machine {
    /// Sends 180. A caller that demands reliability and left the offer to us gets none: the offer would have to be
    /// in it (§5).
    pub(super) fn ring(&mut self, now: Instant, id: LegId) -> Result<(), CommandError> {
        let ringing = self.ringing(id)?;
        match ringing.reliability.wish {
            Wish::Required if !ringing.offered && !ringing.reliability.described => {}
            Wish::Required => self.provide(now, id, 180, None),
            Wish::No | Wish::Supported => self.respond_provisional(now, id, 180, None, None),
        }
        Ok(())
    }

    /// 183 with our description: early media.
    pub(super) fn progress(&mut self, now: Instant, id: LegId, sdp: String) -> Result<(), CommandError> {
        let ringing = self.ringing(id)?;
        match ringing.reliability.wish {
            // An offer of ours may stand in a reliable response alone (RFC 3261 §13.2.1).
            Wish::No if !ringing.offered => return Err(CommandError::WrongState),
            Wish::No => self.respond_provisional(now, id, 183, Some(&sdp), None),
            Wish::Supported | Wish::Required if ringing.reliability.described => {
                self.provide(now, id, 183, None);
            }
            Wish::Supported | Wish::Required => self.provide(now, id, 183, Some(sdp)),
        }
        Ok(())
    }

    /// Whether the answer has to wait: a description is on its way reliably (§3).
    pub(super) fn defer_answer(&mut self, id: LegId, sdp: &str) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let Phase::Ringing(ringing) = &mut leg.phase else { return false };
        let waits = leg.unpracked.as_ref().is_some_and(|u| u.described);
        if waits {
            ringing.reliability.next = Some(Next::Answer(sdp.to_owned()));
        }
        waits
    }

    /// Sends a reliable response, or has it wait for the PRACK of the one before.
    fn provide(&mut self, now: Instant, id: LegId, code: u16, sdp: Option<String>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Phase::Ringing(Ringing { reliability, .. }) = &mut leg.phase else { return };
        if leg.unpracked.is_some() {
            // A description that waits is not given up for mere ringing.
            if reliability.next.is_none() || sdp.is_some() {
                reliability.next = Some(Next::Provisional(code, sdp));
            }
            return;
        }
        reliability.rseq += 1;
        reliability.described |= sdp.is_some();
        let rseq = reliability.rseq;
        self.respond_provisional(now, id, code, sdp.as_deref(), Some(rseq));
    }

    fn respond_provisional(
        &mut self,
        now: Instant,
        id: LegId,
        code: u16,
        sdp: Option<&str>,
        rseq: Option<u32>,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Phase::Ringing(ringing) = &leg.phase else { return };
        let (tx, offered) = (ringing.invite, ringing.offered);
        let (tag, contact) = (leg.dialog.local_tag.clone(), leg.dialog.contact());
        let routes = leg.dialog.routes.clone();
        if let Some(sdp) = sdp {
            leg.description = Bytes::copy_from_slice(sdp.as_bytes());
        }
        let cseq = self.servers.get(&tx).and_then(|s| s.echo.cseq()).map_or(0, |(number, _)| number);
        let reason = if code == 180 { "Ringing" } else { "Session Progress" };
        let sent = self.respond(now, tx, code, reason, Some(&tag), |r| {
            add_dialog_fields(r, &contact, &routes);
            r.headers.push("Allow", crate::validate::allow());
            if let Some(rseq) = rseq {
                r.headers.push("Require", "100rel");
                r.headers.push("RSeq", rseq.to_string());
            }
            if let Some(sdp) = sdp {
                r.set_body("application/sdp", sdp.as_bytes().to_vec());
            }
        });
        let (Some(rseq), Some(octets)) = (rseq, sent) else { return };
        let t1 = self.settings.t1;
        let resend = Some(Resend { at: now + t1, interval: t1, until: now + t1 * 64 });
        let described = sdp.is_some();
        let wants_answer = described && !offered;
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.unpracked = Some(Provisional { tx, rseq, cseq, wants_answer, described, octets, resend });
        }
        self.arm_leg(id);
    }

    pub(super) fn repeat_provisional(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(Provisional { resend: Some(resend), tx, octets, .. }) = &mut leg.unpracked else { return };
        if resend.until <= now {
            return self.give_up_prack(now, id);
        }
        if resend.at <= now {
            resend.interval *= 2;
            resend.at = now + resend.interval;
            let (tx, octets) = (*tx, octets.clone());
            self.counts.retransmissions_out += 1;
            self.reply(tx, octets);
        }
    }

    /// No PRACK for 64·T1: the INVITE is refused (§3).
    fn give_up_prack(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.unpracked = None;
        let Phase::Ringing(Ringing { invite: tx, .. }) = leg.phase else { return };
        self.finish_invite(now, id, tx, &Rejection::new(504, "Server Time-out"));
        self.emit_end(id, EndedBy::Timeout, None);
    }

    pub(super) fn handle_prack(
        &mut self,
        now: Instant,
        flow: Flow,
        key: ServerKey,
        request: &Message,
        id: LegId,
    ) {
        let named = rack(request);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(confirmed) = leg.unpracked.take_if(|u| Some((u.rseq, u.cseq)) == named) else {
            return self.answer_once(now, flow, key, request, (481, NO_DIALOG), |_| {});
        };
        let sdp = crate::body::sdp_text(request);
        let offers_anew = sdp.is_some() && confirmed.described && !confirmed.wants_answer;
        if offers_anew && leg.offers.theirs.is_none() && leg.offers.ours.is_none() {
            self.offer_to_user(now, flow, key, request, id, None);
        } else {
            self.answer_once(now, flow, key, request, (200, "OK"), |_| {});
            if confirmed.wants_answer {
                self.emit(id, LegEvent::ReofferAcked { answer: sdp });
            }
        }
        let Some(Phase::Ringing(ringing)) = self.legs.get_mut(&id).map(|l| &mut l.phase) else { return };
        match ringing.reliability.next.take() {
            Some(Next::Provisional(code, sdp)) => self.provide(now, id, code, sdp),
            Some(Next::Answer(sdp)) => self.accept_call(now, id, &sdp),
            None => {}
        }
    }

    fn ringing(&self, id: LegId) -> Result<&Ringing, CommandError> {
        match &self.legs.get(&id).ok_or(CommandError::Ended)?.phase {
            Phase::Ringing(ringing) => Ok(ringing),
            Phase::Calling(_) | Phase::Up | Phase::Leaving(_) => Err(CommandError::WrongState),
        }
    }
}

/// `RAck: 776656 1 INVITE` (§7.2).
fn rack(request: &Message) -> Option<(u32, u32)> {
    let mut words = request.headers.first("RAck")?.split_ascii_whitespace();
    let rseq = words.next()?.parse().ok()?;
    let cseq = words.next()?.parse().ok()?;
    (words.next() == Some("INVITE") && words.next().is_none()).then_some((rseq, cseq))
}
