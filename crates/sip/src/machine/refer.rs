//! REFER within a call (RFC 3515): we ask the peer to call somebody, or the peer asks us; NOTIFY tells how it goes.
//!
//! Both ride in the call's own dialog, as phones and carriers do it; a REFER or NOTIFY outside of one is none of ours.
//! Attended transfers (a Refer-To with Replaces, RFC 3891) are not served.

use std::time::Instant;

use super::leg::Phase;
use super::server::ServerKey;
use super::{CommandError, Flow, LegId, Machine, TxId};
use crate::call::{LegEvent, ReferTarget};
use crate::message::{Message, NameAddr, SipUri};

/// The REFERs of a leg.
#[derive(Debug, Default)]
pub(super) struct Refers {
    /// We sent one: NOTIFYs belong to it.
    ours: bool,
    /// The peer's that waits for our answer.
    theirs: Option<TxId>,
    /// We took one: we tell how it goes.
    taken: bool,
}

impl Machine {
    /// Asks the peer to call `target`, a SIP URI.
    pub(super) fn send_refer(&mut self, now: Instant, id: LegId, target: &str) -> Result<(), CommandError> {
        if SipUri::parse(target).is_err() {
            return Err(CommandError::BadTarget);
        }
        let leg = self.legs.get_mut(&id).ok_or(CommandError::Ended)?;
        check_up(&leg.phase)?;
        leg.refers.ours = true;
        self.ask_in_dialog(now, id, "REFER", |refer, leg, _| {
            refer.headers.push("Refer-To", format!("<{target}>"));
            refer.headers.push("Referred-By", leg.dialog.contact());
        })?;
        Ok(())
    }

    /// The peer asks us to call somebody.
    pub(super) fn handle_refer(
        &mut self,
        now: Instant,
        flow: Flow,
        key: ServerKey,
        request: &Message,
        id: LegId,
    ) {
        let answer = |this: &mut Self, key, code, reason| {
            this.answer_once(now, flow, key, request, (code, reason), |_| {});
        };
        let mut named = request.headers.all("Refer-To");
        let target = match (named.next().and_then(NameAddr::parse), named.next()) {
            (Some(target), None) => SipUri::parse(&target.uri),
            _ => return answer(self, key, 400, "One Refer-To Is Needed"),
        };
        let Ok(target) = target else { return answer(self, key, 416, "Unsupported URI Scheme") };
        let is_plain =
            !target.has_headers && target.param("method").is_none_or(|m| m.eq_ignore_ascii_case("INVITE"));
        if !is_plain {
            return answer(self, key, 501, "Attended Transfer Not Implemented");
        }
        let Some(leg) = self.legs.get(&id) else { return };
        if check_up(&leg.phase).is_err() || leg.refers.theirs.is_some() {
            return answer(self, key, 491, "Request Pending");
        }
        let Some(tx) = self.open_server(flow, key, request) else {
            return self.refuse(flow, request, 503, "Service Unavailable");
        };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.refers.theirs = Some(tx);
        }
        let target = ReferTarget { user: target.user_decoded(), host: target.host };
        self.emit(id, LegEvent::Refer { id: tx, target });
    }

    /// Takes or refuses the peer's REFER. Of one that was taken it learns at once that it is being tried, and no more
    /// than that: what becomes of the call is our matter.
    pub(super) fn answer_refer(
        &mut self,
        now: Instant,
        id: LegId,
        tx: TxId,
        is_taken: bool,
    ) -> Result<(), CommandError> {
        let leg = self.legs.get_mut(&id).ok_or(CommandError::Ended)?;
        if leg.refers.theirs.take_if(|open| *open == tx).is_none() {
            return Err(CommandError::WrongState);
        }
        leg.refers.taken |= is_taken;
        let contact = leg.dialog.contact();
        let (code, reason) = if is_taken { (202, "Accepted") } else { (603, "Decline") };
        self.respond(now, tx, code, reason, None, |response| {
            if is_taken {
                response.headers.push("Contact", contact);
            }
        });
        if is_taken { self.notify(now, id) } else { Ok(()) }
    }

    fn notify(&mut self, now: Instant, id: LegId) -> Result<(), CommandError> {
        self.ask_in_dialog(now, id, "NOTIFY", |notify, _, _| {
            notify.headers.push("Event", "refer");
            notify.headers.push("Subscription-State", "terminated;reason=noresource");
            notify.set_body("message/sipfrag;version=2.0", b"SIP/2.0 100 Trying\r\n".to_vec());
        })?;
        Ok(())
    }

    /// How our REFER goes.
    pub(super) fn handle_notify(
        &mut self,
        now: Instant,
        flow: Flow,
        key: ServerKey,
        request: &Message,
        id: LegId,
    ) {
        let event = request.headers.first("Event").or(request.headers.first("o")).unwrap_or_default();
        let package = event.split(';').next().unwrap_or_default().trim();
        let is_ours = self.legs.get(&id).is_some_and(|leg| leg.refers.ours);
        if !package.eq_ignore_ascii_case("refer") {
            return self.answer_once(now, flow, key, request, (489, "Bad Event"), |r| {
                r.headers.push("Allow-Events", "refer");
            });
        }
        if !is_ours {
            return self.answer_once(now, flow, key, request, (481, "Subscription Does Not Exist"), |_| {});
        }
        self.answer_once(now, flow, key, request, (200, "OK"), |_| {});
        let state = request.headers.first("Subscription-State").unwrap_or_default();
        let is_over = state.trim_start().to_ascii_lowercase().starts_with("terminated");
        match sipfrag_code(request) {
            Some(code) if code >= 200 || !is_over => self.emit(id, LegEvent::ReferProgress { code }),
            Some(_) | None if is_over => self.emit(id, LegEvent::ReferProgress { code: TAKEN }),
            Some(_) | None => {}
        }
    }

    /// The peer has answered our REFER.
    pub(super) fn on_refer_done(&mut self, id: LegId, code: u16) {
        if code >= 300
            && let Some(leg) = self.legs.get_mut(&id)
        {
            leg.refers.ours = false;
        }
        self.emit(id, LegEvent::ReferAnswered { code });
    }

    /// The leg is over: whoever waits for an answer to a REFER gets one.
    pub(super) fn drop_refers(&mut self, now: Instant, refers: Refers) {
        if let Some(tx) = refers.theirs {
            self.respond(now, tx, 481, super::NO_DIALOG, None, |_| {});
        }
    }
}

fn check_up(phase: &Phase) -> Result<(), CommandError> {
    match phase {
        Phase::Up => Ok(()),
        Phase::Leaving(_) => Err(CommandError::Ended),
        Phase::Ringing(_) | Phase::Calling(_) => Err(CommandError::WrongState),
    }
}

/// The status of the piece of SIP that a NOTIFY carries (RFC 3420).
fn sipfrag_code(notify: &Message) -> Option<u16> {
    let text = std::str::from_utf8(&notify.body).ok()?;
    let code = text.lines().next()?.strip_prefix("SIP/2.0 ")?.split(' ').next()?;
    code.parse().ok().filter(|code| (100..700).contains(code))
}

/// Where a peer that took the REFER tells no more of it than that it tries, as we do ourselves: it is its own matter.
const TAKEN: u16 = 200;
