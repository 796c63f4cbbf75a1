//! Before the answer to our INVITE: provisional responses, those that want a PRACK among them (RFC 3262 §4).

use std::time::Instant;

use super::leg::{Calling, Cancel, Leg, Phase};
use super::session_timer::has_option;
use super::{LegId, Machine, TxId};
use crate::call::LegEvent;
use crate::message::Message;

/// One phone of a forked call that rang reliably.
#[derive(Debug)]
pub(super) struct Fork {
    tag: String,
    /// The number of its last response in order.
    rseq: u32,
    /// Its answer to our offer.
    answer: Option<String>,
}

impl Calling {
    /// Whether this phone has answered our offer before it took the call.
    pub(super) fn has_answer_of(&self, tag: Option<&str>) -> bool {
        self.forks.iter().any(|fork| Some(fork.tag.as_str()) == tag && fork.answer.is_some())
    }

    /// The answer of the phone that took the call.
    pub(super) fn take_answer_of(&mut self, tag: Option<&str>) -> Option<String> {
        self.forks.iter_mut().find(|fork| Some(fork.tag.as_str()) == tag)?.answer.take()
    }
}

impl Machine {
    pub(super) fn on_provisional(&mut self, now: Instant, tx: TxId, response: &Message) {
        let Some(id) = self.clients.get(&tx).and_then(|c| c.leg) else { return };
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get(&id) else { return };
        let cancel = calling.cancel;
        let is_news = reliable_number(response).is_none_or(|rseq| self.confirm(now, id, rseq, response));
        match cancel {
            Cancel::Wanted => self.send_cancel(now, id, tx),
            Cancel::No if is_news => {
                let code = response.code().unwrap_or(100);
                let sdp = crate::body::sdp_text(response);
                let event = if code > 100 { LegEvent::Ringing { code, sdp } } else { LegEvent::Trying };
                self.emit(id, event);
            }
            Cancel::No | Cancel::Sent => {}
        }
    }

    /// Sends the PRACK of a response that comes in order; another one is a repetition, or comes again (§4).
    fn confirm(&mut self, now: Instant, id: LegId, rseq: u32, response: &Message) -> bool {
        let (Some(tag), Some((cseq, _))) = (response.tag("To"), response.cseq()) else { return false };
        if self.transactions_open() >= self.admission.limits().transactions_max {
            return false;
        }
        let branch = self.ids.branch();
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let Phase::Calling(calling) = &mut leg.phase else { return false };
        let answer = crate::body::sdp_text(response);
        let known = calling.forks.len();
        match calling.forks.iter_mut().find(|fork| fork.tag == tag) {
            Some(fork) if rseq == fork.rseq.wrapping_add(1) => {
                fork.rseq = rseq;
                fork.answer = fork.answer.take().or(answer);
            }
            Some(_) => return false,
            None if known >= FORKS_MAX => return false,
            None => calling.forks.push(Fork { tag: tag.clone(), rseq, answer }),
        }
        if leg.dialog.remote_tag.is_none() {
            leg.dialog.establish(response);
        }
        let mut dialog = leg.dialog.clone();
        if dialog.remote_tag.as_ref() != Some(&tag) {
            dialog.establish(response);
        }
        // One count for all forks: within each of them it rises.
        let mut prack = dialog.request("PRACK", &branch, &self.settings.user_agent);
        leg.dialog.local_cseq = dialog.local_cseq;
        prack.headers.push("RAck", format!("{rseq} {cseq} INVITE"));
        let (flow, reconnect) = dialog.next_hop(&self.settings);
        self.open_client(now, flow, reconnect, branch, prack, Some(id));
        true
    }
}

/// The RSeq of a response that demands a PRACK.
fn reliable_number(response: &Message) -> Option<u32> {
    let demanded = has_option(response, "Require", "100rel") && response.code()? > 100;
    response.headers.first("RSeq")?.parse().ok().filter(|_| demanded)
}

/// Phones of one forked call whose reliable responses are confirmed.
const FORKS_MAX: usize = 8;
