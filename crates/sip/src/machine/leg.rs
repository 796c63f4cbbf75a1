//! A leg: one dialog with its state, and the timers of its own (unacknowledged 200, held requests).

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::dialog::Dialog;
use super::server::ServerKey;
use super::{Flow, LegId, Machine, Output, TimerKey, TxId};
use crate::call::{EndedBy, LegEvent, parse_q850};
use crate::message::Message;

#[derive(Debug)]
pub(super) struct Leg {
    pub(super) dialog: Dialog,
    pub(super) phase: Phase,
    /// Our 200 that waits for its ACK.
    pub(super) unacked: Option<Unacked>,
    /// The ACK that we sent last, to repeat when its 200 is repeated.
    pub(super) last_ack: Option<(u32, Bytes)>,
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
    Up(Up),
    /// Told as ended; a BYE is under way, or waits for the ACK (§15).
    Leaving(Leaving),
}

#[derive(Debug)]
pub(super) struct Ringing {
    pub(super) invite: TxId,
    pub(super) offered: bool,
}

#[derive(Debug)]
pub(super) struct Calling {
    pub(super) invite: TxId,
    pub(super) cancel: Cancel,
    pub(super) cancel_reason: Option<String>,
}

/// A CANCEL may not be sent before a provisional response (§9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    Wanted,
    Sent,
}

#[derive(Debug, Default)]
pub(super) struct Up {
    /// Their offer that we have not answered.
    pub(super) reoffer_in: Option<ReofferIn>,
    /// Our offer that they have not answered.
    pub(super) reoffer_out: Option<TxId>,
    /// A re-INVITE that overtook the ACK.
    pub(super) held: Option<Box<Held>>,
}

#[derive(Debug)]
pub(super) struct ReofferIn {
    pub(super) tx: TxId,
    pub(super) offered: bool,
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
    pub(super) flow: Flow,
    pub(super) octets: Bytes,
    pub(super) resend_at: Instant,
    pub(super) interval: Duration,
    pub(super) until: Instant,
}

impl Leg {
    pub(super) fn new(dialog: Dialog, phase: Phase) -> Self {
        Self { dialog, phase, unacked: None, last_ack: None, armed: None }
    }

    fn deadline(&self) -> Option<Instant> {
        let unacked = self.unacked.as_ref().map(|u| u.resend_at.min(u.until));
        let up = match &self.phase {
            Phase::Up(up) => {
                let held = up.held.as_ref().map(|h| h.until);
                held.into_iter().chain(up.reoffer_in.as_ref().map(|r| r.until)).min()
            }
            Phase::Ringing(_) | Phase::Calling(_) | Phase::Leaving(_) => None,
        };
        unacked.into_iter().chain(up).min()
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
        self.expire_held(now, id);
        self.expire_reoffer(now, id);
        self.arm_leg(id);
    }

    fn repeat_unacked(&mut self, now: Instant, id: LegId) {
        let t2 = self.settings.t2;
        let due = self.legs.get_mut(&id).and_then(|l| l.unacked.as_mut()).filter(|u| u.resend_at <= now);
        if let Some(unacked) = due {
            unacked.interval = (unacked.interval * 2).min(t2);
            unacked.resend_at = now + unacked.interval;
            let (flow, octets) = (unacked.flow, unacked.octets.clone());
            self.counts.retransmissions_out += 1;
            self.send(flow, octets, None);
        }
    }

    /// No ACK for 64·T1: the session is ended with a BYE (§13.3.1.4).
    fn give_up_ack(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.unacked = None;
        self.counts.ack_timeouts += 1;
        match &leg.phase {
            Phase::Up(_) => self.leave(now, id, EndedBy::Timeout, None),
            Phase::Leaving(_) => self.send_bye(now, id),
            Phase::Ringing(_) | Phase::Calling(_) => {}
        }
    }

    fn expire_held(&mut self, now: Instant, id: LegId) {
        let Some(Leg { phase: Phase::Up(up), .. }) = self.legs.get_mut(&id) else { return };
        if up.held.as_ref().is_some_and(|h| h.until <= now)
            && let Some(held) = up.held.take()
        {
            self.refuse_busy(held.flow, &held.request);
        }
    }

    /// Ends an answered leg from our side: told at once, the BYE as soon as the protocol allows.
    pub(super) fn leave(&mut self, now: Instant, id: LegId, by: EndedBy, reason: Option<String>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let was =
            std::mem::replace(&mut leg.phase, Phase::Leaving(Leaving { reason: reason.clone(), bye: None }));
        let may_send = leg.unacked.is_none();
        if let Phase::Up(up) = was {
            self.drop_reoffers(now, up);
        }
        self.emit_end(id, by, reason);
        if may_send {
            self.send_bye(now, id);
        }
    }

    pub(super) fn send_bye(&mut self, now: Instant, id: LegId) {
        let branch = self.ids.branch();
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Phase::Leaving(leaving) = &leg.phase else { return };
        let reason = leaving.reason.clone();
        let mut bye = leg.dialog.request("BYE", &branch, &self.settings.user_agent);
        if let Some(reason) = reason {
            bye.headers.push("Reason", reason);
        }
        let (flow, reconnect) = leg.dialog.next_hop();
        let tx = self.open_client(now, flow, reconnect, branch, bye, Some(id));
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

    /// Forgets a leg. Its transactions live on until their timers end.
    pub(super) fn remove_leg(&mut self, id: LegId) -> Option<Leg> {
        let leg = self.legs.remove(&id)?;
        self.dialogs.remove(&leg.dialog.key());
        if let Some(at) = leg.armed {
            self.timers.remove(at, TimerKey::Leg(id));
        }
        Some(leg)
    }
}
