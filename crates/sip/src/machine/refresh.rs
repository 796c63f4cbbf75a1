//! Keeping a session alive (RFC 4028 §7–10): our refreshes, what comes back, and the end of what nobody refreshes.

use std::time::{Duration, Instant};

use super::leg::Phase;
use super::session_timer::{Agreed, SessionTimes, min_se};
use super::{LegId, Machine, TxId};
use crate::call::{EndedBy, LegEvent};
use crate::message::Message;

impl Machine {
    /// Starts the timer of an answered leg anew.
    pub(super) fn start_session(&mut self, now: Instant, id: LegId, agreed: Agreed) {
        if let Some(leg) = self.legs.get_mut(&id)
            && matches!(leg.phase, Phase::Up)
        {
            let open = leg.session.take().and_then(|session| session.open);
            let mut session = agreed.start(now);
            session.open = open;
            leg.session = Some(session);
            self.arm_leg(id);
        }
    }

    /// The peer's 2xx to a request of ours that refreshes.
    pub(super) fn session_refreshed(&mut self, now: Instant, id: LegId, response: &Message) {
        let Some(leg) = self.legs.get(&id) else { return };
        let asked = leg.session.as_ref().map_or(self.settings.session.expires, |session| session.interval);
        self.start_session(now, id, SessionTimes::settled(response, asked));
    }

    /// Refreshes, or ends what was not refreshed in time.
    pub(super) fn tend_session(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let busy = leg.unacked.is_some() || leg.offers.is_open();
        let Some(session) = &mut leg.session else { return };
        if session.bye_at <= now {
            return self.leave(now, id, EndedBy::Lost, None);
        }
        if session.refresh_at.is_none_or(|at| at > now) {
            return;
        }
        if busy || session.open.is_some() {
            session.refresh_at = Some(now + LATER);
        } else {
            session.refresh_at = None;
            self.refresh(now, id);
        }
    }

    /// UPDATE without SDP where the peer takes it, else a re-INVITE that changes nothing (§7.4).
    fn refresh(&mut self, now: Instant, id: LegId) {
        let Some(leg) = self.legs.get(&id).filter(|leg| leg.session.is_some()) else { return };
        let update = leg.dialog.peer_updates;
        let method = if update { "UPDATE" } else { "INVITE" };
        let sent = self.ask_in_dialog(now, id, method, |request, leg, settings| {
            if let Some(session) = &leg.session {
                settings.session.ask_again(request, session);
            }
            if !update {
                request.set_body("application/sdp", leg.description.clone());
            }
        });
        let Ok(tx) = sent else { return };
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if let Some(session) = &mut leg.session {
            session.open = Some(tx);
        }
        if !update {
            leg.offers.ours = Some(tx);
        }
    }

    /// Whether this transaction is our open refresh, which is closed by asking.
    pub(super) fn take_refresh(&mut self, id: LegId, tx: TxId) -> bool {
        let session = self.legs.get_mut(&id).and_then(|leg| leg.session.as_mut());
        session.is_some_and(|session| session.open.take_if(|open| *open == tx).is_some())
    }

    /// Our refresh was refused, or not answered (408).
    pub(super) fn on_refresh_failure(
        &mut self,
        now: Instant,
        id: LegId,
        code: u16,
        response: Option<&Message>,
    ) {
        let back_off = self.glare_back_off(id);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(session) = &mut leg.session else { return };
        if response.is_some() {
            session.heard_refusal(now);
        }
        let longer = response.map(min_se).filter(|min| *min > session.interval);
        let again = match (code, longer) {
            (408 | 481, _) => return self.leave(now, id, EndedBy::Lost, None),
            (422, Some(min)) => {
                session.interval = min;
                now + LATER
            }
            (491, _) => now + back_off,
            // Whatever it dislikes about an UPDATE, it may take a re-INVITE.
            (400..=499 | 501, _) if leg.dialog.peer_updates => {
                leg.dialog.peer_updates = false;
                now
            }
            // Half of what is left, so that a peer that always refuses is not asked without end.
            _ => now + ((session.bye_at.saturating_duration_since(now)) / 2).max(LATER),
        };
        session.refresh_at = Some(again);
        self.arm_leg(id);
    }

    /// How long to wait after a 491 (RFC 3261 §14.1): who chose the Call-ID waits longer.
    fn glare_back_off(&mut self, id: LegId) -> Duration {
        let ours = self.legs.get(&id).is_some_and(|leg| leg.dialog.is_ours);
        let (from, steps) = if ours { (2_100, 191) } else { (0, 201) };
        Duration::from_millis(from + 10 * self.ids.below(steps))
    }

    /// A 2xx or refusal of an UPDATE of ours: a refresh without SDP, or an offer before the answer.
    pub(super) fn on_update_done(
        &mut self,
        now: Instant,
        id: LegId,
        tx: TxId,
        code: u16,
        response: Option<&Message>,
    ) {
        let refreshed = self.take_refresh(id, tx);
        let offered = self.take_offer(id, tx);
        let done = response.filter(|_| (200..300).contains(&code));
        if let (Some(leg), Some(response)) = (self.legs.get_mut(&id), done) {
            leg.dialog.refresh_target(response);
            self.session_refreshed(now, id, response);
        }
        match done {
            _ if refreshed && done.is_none() => self.on_refresh_failure(now, id, code, response),
            Some(response) if offered => {
                self.emit(id, LegEvent::ReofferAnswered { sdp: crate::body::sdp_text(response) });
            }
            None if offered => self.emit(id, LegEvent::ReofferRefused { code }),
            Some(_) | None => {}
        }
    }
}

/// When to try again what another exchange holds up.
const LATER: Duration = Duration::from_secs(5);
