//! A leg: one dialog with its state, and the timers of its own (what waits for ACK or PRACK, held requests, the
//! session).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::dialog::Dialog;
use super::early::Fork;
use super::login::Pass;
use super::refer::Refers;
use super::reliable::{Provisional, Reliability};
use super::server::ServerKey;
use super::session_timer::{Agreed, SessionTimer};
use super::{CommandError, Flow, LegId, Machine, Output, Settings, TimerKey, TxId};
use crate::call::{EndedBy, LegEvent, parse_q850};
use crate::message::Message;

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) dialog: Dialog,
    pub(super) phase: Phase,
    /// Changes of the session that are under way.
    pub(super) offers: Offers,
    /// Calls elsewhere that one of us asks the other for.
    pub(super) refers: Refers,
    /// Our 200 that waits for its ACK.
    pub(super) unacked: Option<Unacked>,
    /// Our reliable provisional response that waits for its PRACK.
    pub(super) unpracked: Option<Provisional>,
    /// The ACK that we sent last, to repeat when its 200 is repeated.
    pub(super) last_ack: Option<(u32, Bytes)>,
    /// Our description as it was sent last: what a refresh repeats.
    pub(super) description: Bytes,
    /// What challenges of its carrier are answered with.
    pub(super) pass: Option<Pass>,
    /// The credentials of the INVITE that is being answered, which its ACK repeats (§22.1).
    pub(super) credentials: Vec<(&'static str, String)>,
    /// Runs from the answer on.
    pub(super) session: Option<SessionTimer>,
    /// The leg's one entry among the timers; its deadline is this or later.
    armed: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Phase {
    /// Their INVITE, not yet answered.
    Ringing(Ringing),
    /// Our INVITE, not yet answered.
    Calling(Calling),
    /// Answered.
    Up,
    /// Told as ended; a BYE is under way, or waits for the ACK (§15).
    Leaving(Leaving),
}

#[derive(Debug)]
pub(super) struct Ringing {
    pub(super) invite: TxId,
    pub(super) offered: bool,
    /// What the 200 will say of the session timer.
    pub(super) session: Agreed,
    pub(super) reliability: Reliability,
}

#[derive(Debug)]
pub(super) struct Calling {
    pub(super) invite: TxId,
    pub(super) cancel: Cancel,
    pub(super) cancel_reason: Option<String>,
    /// Who rang reliably; the leg's dialog is the first one's.
    pub(super) forks: Vec<Fork>,
    /// The session interval that we asked for.
    pub(super) interval: Duration,
    /// A 422 had us ask for a longer one.
    pub(super) raised: bool,
    /// Where the INVITE goes next when nobody is there (RFC 3263 §4.3).
    pub(super) alternatives: VecDeque<Flow>,
}

impl Leg {
    /// Whether our INVITE waits for its answer.
    pub(super) fn is_calling(&self) -> bool {
        matches!(self.phase, Phase::Calling(_))
    }
}

/// A CANCEL may not be sent before a provisional response (§9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    Wanted,
    Sent,
}

/// At most one offer each way.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// Their offer that we have not answered.
    pub(super) theirs: Option<ReofferIn>,
    /// Our offer that they have not answered.
    pub(super) ours: Option<TxId>,
    /// A re-INVITE that overtook the ACK.
    pub(super) held: Option<Box<Held>>,
}

#[derive(Debug)]
pub(super) struct ReofferIn {
    pub(super) tx: TxId,
    pub(super) offered: bool,
    /// What the 2xx will say of the session timer; `None` in a PRACK, which refreshes nothing.
    pub(super) session: Option<Agreed>,
    pub(super) until: Instant,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) flow: Flow,
    pub(super) key: ServerKey,
    pub(super) request: Message,
    pub(super) until: Instant,
}

#[derive(Debug)]
pub(super) struct Leaving {
    pub(super) reason: Option<String>,
    pub(super) bye: Option<TxId>,
}

/// A 200 to an INVITE, repeated until its ACK on any transport (§13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacked {
    pub(super) tx: TxId,
    pub(super) cseq: u32,
    pub(super) first: bool,
    /// Our offer was in the 200, the answer will be in the ACK.
    pub(super) wants_answer: bool,
    pub(super) octets: Bytes,
    pub(super) resend_at: Instant,
    pub(super) interval: Duration,
    pub(super) until: Instant,
}

impl Offers {
    /// Whether an offer waits for its answer, in either direction.
    pub(super) fn is_open(&self) -> bool {
        self.theirs.is_some() || self.ours.is_some()
    }
}

impl Leg {
    pub(super) fn new(dialog: Dialog, phase: Phase) -> Self {
        Self {
            dialog,
            phase,
            offers: Offers::default(),
            refers: Refers::default(),
            unacked: None,
            unpracked: None,
            last_ack: None,
            description: Bytes::new(),
            pass: None,
            credentials: Vec::new(),
            session: None,
            armed: None,
        }
    }

    /// A request of ours was sent again as another transaction.
    pub(super) fn follow(&mut self, before: TxId, again: TxId) {
        let waiting = match &mut self.phase {
            Phase::Calling(calling) => Some(&mut calling.invite),
            Phase::Leaving(leaving) => leaving.bye.as_mut(),
            Phase::Ringing(_) | Phase::Up => None,
        };
        let refresh = self.session.as_mut().and_then(|session| session.open.as_mut());
        for tx in [waiting, self.offers.ours.as_mut(), refresh].into_iter().flatten() {
            if *tx == before {
                *tx = again;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let unacked = self.unacked.as_ref().map(|u| u.resend_at.min(u.until));
        let unpracked = self.unpracked.as_ref().and_then(Provisional::deadline);
        let held = self.offers.held.as_ref().map(|h| h.until);
        let theirs = self.offers.theirs.as_ref().map(|r| r.until);
        let session = self.session.as_ref().map(SessionTimer::deadline);
        [unacked, unpracked, held, theirs, session].into_iter().flatten().min()
    }
}

impl Machine {
    /// Sees to it that the leg is looked at by its deadline.
    pub(super) fn arm_leg(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(at) = leg.deadline() else { return };
        if leg.armed.is_some_and(|armed| armed <= at) {
            return;
        }
        if let Some(later) = leg.armed.replace(at) {
            self.timers.remove(later, TimerKey::Leg(id));
        }
        self.timers.push(at, TimerKey::Leg(id));
    }

    pub(super) fn fire_leg(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.armed = None;
        let Some(deadline) = leg.deadline() else { return };
        if deadline > now {
            return self.arm_leg(id);
        }
        if leg.unacked.as_ref().is_some_and(|u| u.until <= now) {
            self.give_up_ack(now, id);
        } else {
            self.repeat_unacked(now, id);
        }
        self.repeat_provisional(now, id);
        self.expire_held(now, id);
        self.expire_reoffer(now, id);
        self.tend_session(now, id);
        self.arm_leg(id);
    }

    fn repeat_unacked(&mut self, now: Instant, id: LegId) {
        let t2 = self.settings.t2;
        let due = self.legs.get_mut(&id).and_then(|l| l.unacked.as_mut()).filter(|u| u.resend_at <= now);
        if let Some(unacked) = due {
            unacked.interval = (unacked.interval * 2).min(t2);
            unacked.resend_at = now + unacked.interval;
            let (tx, octets) = (unacked.tx, unacked.octets.clone());
            self.counts.retransmissions_out += 1;
            self.reply(tx, octets);
        }
    }

    /// No ACK for 64·T1: the session is ended with a BYE (§13.3.1.4).
    fn give_up_ack(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.unacked = None;
        self.counts.ack_timeouts += 1;
        match &leg.phase {
            Phase::Up => self.leave(now, id, EndedBy::Timeout, None),
            Phase::Leaving(_) => self.send_bye(now, id),
            Phase::Ringing(_) | Phase::Calling(_) => {}
        }
    }

    fn expire_held(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if let Some(held) = leg.offers.held.take_if(|h| h.until <= now) {
            self.refuse_busy(held.flow, &held.request);
        }
    }

    /// Ends an answered leg from our side: told at once, the BYE as soon as the protocol allows.
    pub(super) fn leave(&mut self, now: Instant, id: LegId, by: EndedBy, reason: Option<String>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.phase = Phase::Leaving(Leaving { reason: reason.clone(), bye: None });
        leg.session = None;
        let may_send = leg.unacked.is_none();
        let offers = std::mem::take(&mut leg.offers);
        self.drop_offers(now, offers);
        self.emit_end(id, by, reason);
        if may_send {
            self.send_bye(now, id);
        }
    }

    /// Sends a request of ours in the leg's dialog, once `fill` has had its say in it.
    pub(super) fn ask_in_dialog(
        &mut self,
        now: Instant,
        id: LegId,
        method: &str,
        fill: impl FnOnce(&mut Message, &mut Leg, &Settings),
    ) -> Result<TxId, CommandError> {
        let branch = self.ids.branch();
        let leg = self.legs.get_mut(&id).ok_or(CommandError::Ended)?;
        let mut request = leg.dialog.request(method, &branch, &self.settings.user_agent);
        fill(&mut request, leg, &self.settings);
        let (flow, reconnect) = leg.dialog.next_hop(&self.settings);
        Ok(self.open_client(now, flow, reconnect, branch, request, Some(id)))
    }

    pub(super) fn send_bye(&mut self, now: Instant, id: LegId) {
        let Some(Phase::Leaving(leaving)) = self.legs.get(&id).map(|leg| &leg.phase) else { return };
        let reason = leaving.reason.clone();
        let sent = self.ask_in_dialog(now, id, "BYE", |bye, _, _| {
            if let Some(reason) = reason {
                bye.headers.push("Reason", reason);
            }
        });
        let Ok(tx) = sent else { return };
        if let Some(Phase::Leaving(leaving)) = self.legs.get_mut(&id).map(|l| &mut l.phase) {
            leaving.bye = Some(tx);
        }
    }

    /// The terminal event of a leg that ended by BYE, timeout or refusal.
    pub(super) fn emit_end(&mut self, id: LegId, by: EndedBy, reason: Option<String>) {
        let q850 = reason.as_deref().and_then(parse_q850);
        self.emit_terminal(id, LegEvent::Ended { by, reason, q850 });
    }

    pub(super) fn emit_terminal(&mut self, id: LegId, event: LegEvent) {
        self.emit(id, event);
        self.outputs.push_back(Output::Closed(id));
    }

    /// Forgets a leg. Its transactions live on until their timers end; open offers of the peer are refused.
    pub(super) fn remove_leg(&mut self, now: Instant, id: LegId) -> Option<Leg> {
        let mut leg = self.legs.remove(&id)?;
        self.drop_offers(now, std::mem::take(&mut leg.offers));
        self.drop_refers(now, std::mem::take(&mut leg.refers));
        self.dialogs.remove(&leg.dialog.key());
        if let Some(at) = leg.armed {
            self.timers.remove(at, TimerKey::Leg(id));
        }
        Some(leg)
    }
}
