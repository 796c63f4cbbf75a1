//! Calls that go out: INVITE, CANCEL, ACK, BYE, INFO (RFC 3261 §9.1, §13.2, §15.1.1).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::client::{ClientTx, with_fields_of};
use super::dialog::Dialog;
use super::leg::{Calling, Cancel, Leg, Phase};
use super::login::Pass;
use super::session_timer::{SessionTimes, min_se};
use super::{CallLine, CommandError, Flow, LegId, Machine, TxId, Way};
use crate::call::{EndedBy, InviteRequest, LegEvent, Rejection, parse_q850};
use crate::message::{Message, SipUri, is_token};

impl Machine {
    pub(super) fn start_call(
        &mut self,
        now: Instant,
        (flow, way): (Flow, Way),
        request: &InviteRequest,
        line: Option<&CallLine>,
    ) -> Result<LegId, CommandError> {
        if self.legs.len() >= self.admission.limits().calls_max
            || self.transactions_open() >= self.admission.limits().transactions_max
        {
            return Err(CommandError::Full);
        }
        let served = |uri: &SipUri| uri.scheme != "tel" && !uri.has_headers;
        let target = SipUri::parse(&request.target).ok().filter(served);
        target.ok_or(CommandError::BadTarget)?;
        if !request.headers.iter().all(|(name, value)| is_free_header(name, value)) {
            return Err(CommandError::BadTarget);
        }
        let local = match line {
            Some(line) => line.caller(request),
            None => from_value(request, &flow.local.ip().to_string()),
        };
        let (call_id, tag, branch) = (self.ids.word(), self.ids.word(), self.ids.branch());
        let mut dialog = Dialog::outgoing(call_id, tag, local, &request.target, (flow, way));
        if let Some(line) = line {
            dialog.go_by(line.routes.clone(), line.server_name.clone());
        }
        let mut invite = dialog.request("INVITE", &branch, &self.settings.user_agent);
        let interval = self.settings.session.expires;
        self.settings.session.ask(&mut invite, interval);
        for (name, value) in &request.headers {
            invite.headers.push(name, value.clone());
        }
        invite.set_body("application/sdp", request.offer.as_bytes().to_vec());
        let id = self.ids.leg();
        let reconnect = line.and_then(|line| line.hop(flow));
        let tx = self.open_client(now, flow, reconnect, branch, invite, Some(id));
        let phase = Phase::Calling(Calling {
            invite: tx,
            cancel: Cancel::No,
            cancel_reason: None,
            forks: Vec::new(),
            interval,
            raised: false,
            alternatives: VecDeque::new(),
        });
        self.dialogs.insert(dialog.key(), id);
        let mut leg = Leg::new(dialog, phase);
        leg.description = Bytes::copy_from_slice(request.offer.as_bytes());
        self.legs.insert(id, leg);
        if let Some(line) = line {
            self.enter_line(now, id, tx, (flow, line));
        }
        self.counts.calls_out += 1;
        Ok(id)
    }

    pub(super) fn on_invite_success(&mut self, now: Instant, tx: TxId, response: &Message) {
        let Some(id) = self.clients.get(&tx).and_then(|c| c.leg) else { return };
        if self.take_offer(id, tx) {
            self.take_refresh(id, tx);
            if let Some(leg) = self.legs.get_mut(&id) {
                leg.dialog.refresh_target(response);
            }
            self.send_ack(id, response);
            self.session_refreshed(now, id, response);
            return self.emit(id, LegEvent::ReofferAnswered { sdp: crate::body::sdp_text(response) });
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match &mut leg.phase {
            Phase::Calling(calling) => {
                let cancelled = calling.cancel != Cancel::No;
                let reason = calling.cancel_reason.clone();
                let interval = calling.interval;
                let early = calling.take_answer_of(response.tag("To").as_deref());
                leg.dialog.establish(response);
                leg.phase = Phase::Up;
                self.send_ack(id, response);
                if cancelled {
                    // The 200 crossed our CANCEL: the call is answered and ended at once (§9.1, §15).
                    self.leave_cancelled(now, id, reason);
                } else {
                    self.start_session(now, id, SessionTimes::settled(response, interval));
                    // What was answered before the call was taken stays the answer (§13.2.1).
                    self.emit(id, LegEvent::Answered { sdp: early.or(crate::body::sdp_text(response)) });
                }
            }
            // Our re-INVITE was answered after we hung up: the BYE follows its ACK.
            Phase::Leaving(_) => self.send_ack(id, response),
            Phase::Up | Phase::Ringing(_) => {}
        }
    }

    /// A 200 after the first: repeated (our ACK was lost), or another branch of a fork (§13.2.2.4).
    pub(super) fn on_invite_success_again(&mut self, now: Instant, tx: TxId, response: &Message) {
        let Some(client) = self.clients.get(&tx) else { return };
        let Some(id) = client.leg else { return };
        let Some(leg) = self.legs.get(&id) else {
            // The call is over by now: the first who answered has had its BYE.
            let Some(answered) = client.answered_by() else { return };
            if answered.tag != response.tag("To") {
                let over = (answered.dialog.clone(), client.pass.clone());
                self.end_fork(now, over, response);
            }
            return;
        };
        let cseq = response.cseq().map(|(number, _)| number);
        if leg.dialog.remote_tag != response.tag("To") {
            let pass = leg.pass.clone();
            return self.end_fork(now, (leg.dialog.clone(), pass), response);
        }
        if let Some((_, octets)) = leg.last_ack.as_ref().filter(|(number, _)| Some(*number) == cseq) {
            let (octets, hop) = (octets.clone(), leg.dialog.next_hop(&self.settings));
            self.send(hop.0, octets, hop.1);
        }
    }

    fn send_ack(&mut self, id: LegId, response: &Message) {
        let branch = self.ids.branch();
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some((number, _)) = response.cseq() else { return };
        let octets = ack(leg, number, &branch, &self.settings.user_agent);
        leg.last_ack = Some((number, octets.clone()));
        let (flow, reconnect) = leg.dialog.next_hop(&self.settings);
        self.send(flow, octets, reconnect);
    }

    pub(super) fn end_fork(
        &mut self,
        now: Instant,
        (mut dialog, pass): (Dialog, Option<Pass>),
        response: &Message,
    ) {
        dialog.establish(response);
        let Some((number, _)) = response.cseq() else { return };
        let user_agent = &self.settings.user_agent;
        let ack = dialog.request_numbered("ACK", number, &self.ids.branch(), user_agent).encode();
        let branch = self.ids.branch();
        let bye = dialog.request("BYE", &branch, &self.settings.user_agent);
        let (flow, reconnect) = dialog.next_hop(&self.settings);
        self.send(flow, ack, reconnect.clone());
        if self.transactions_open() < self.admission.limits().transactions_max {
            let tx = self.open_client(now, flow, reconnect, branch, bye, None);
            if let Some(client) = self.clients.get_mut(&tx) {
                client.pass = pass;
            }
        }
    }

    /// A refused INVITE.
    pub(super) fn on_invite_failure(&mut self, now: Instant, tx: TxId, response: &Message) {
        let Some(id) = self.clients.get(&tx).and_then(|c| c.leg) else { return };
        let code = response.code().unwrap_or(500);
        if self.take_offer(id, tx) {
            return if self.take_refresh(id, tx) {
                self.on_refresh_failure(now, id, code, Some(response));
            } else {
                self.on_reoffer_failure(now, id, code);
            };
        }
        if code == 422 && self.ask_longer(now, id, tx, response) {
            return;
        }
        if code == 503 && self.try_elsewhere(now, id, tx) {
            return;
        }
        let reason = match &response.start {
            crate::message::StartLine::Response { reason, .. } => reason.clone(),
            crate::message::StartLine::Request { .. } => String::new(),
        };
        let q850 = response.headers.first("Reason").and_then(parse_q850);
        self.fail_call(now, id, (code, true), reason, q850);
    }

    /// The peer finds our session interval too short: the same INVITE again, once, with its minimum (RFC 4028
    /// §7.3).
    fn ask_longer(&mut self, now: Instant, id: LegId, tx: TxId, response: &Message) -> bool {
        let Some(refused) = self.clients.get(&tx) else { return false };
        let Some(Leg { phase: Phase::Calling(calling), .. }) = self.legs.get_mut(&id) else { return false };
        let min = min_se(response);
        if calling.raised || calling.cancel != Cancel::No || min <= calling.interval {
            return false;
        }
        let (mut invite, flow) = (refused.request.clone(), refused.flow);
        for name in ["Session-Expires", "Min-SE"] {
            invite.headers.remove(name);
        }
        self.settings.session.ask(&mut invite, min);
        (calling.raised, calling.interval) = (true, min);
        self.send_again(now, tx, invite, flow).is_some()
    }

    /// No final response in time.
    pub(super) fn on_invite_timeout(&mut self, now: Instant, tx: TxId) {
        let Some(client) = self.clients.get(&tx) else { return };
        let (leg, rang) = (client.leg, client.has_provisional());
        if let Some(id) = leg {
            let not_cancelled = matches!(
                self.legs.get(&id).map(|l| &l.phase),
                Some(Phase::Calling(Calling { cancel: Cancel::No, .. }))
            );
            if rang && not_cancelled {
                return self.send_cancel(now, id, tx);
            }
            if !rang && not_cancelled && self.try_elsewhere(now, id, tx) {
                return;
            }
        }
        self.forget_client(tx);
        let Some(id) = leg else { return };
        if self.take_offer(id, tx) {
            // Refresh or not, whoever does not answer is gone.
            return self.on_reoffer_failure(now, id, 408);
        }
        self.fail_call(now, id, (408, false), "Request Timeout".to_owned(), None);
    }

    /// The call was not answered: with that status, which came, or stands for none that came.
    fn fail_call(
        &mut self,
        now: Instant,
        id: LegId,
        (code, received): (u16, bool),
        reason: String,
        q850: Option<u8>,
    ) {
        if let Some(Phase::Calling(calling)) = self.legs.get(&id).map(|l| &l.phase) {
            // Cancelled while it was challenged: nobody is told of a challenge.
            let is_cancel = calling.cancel != Cancel::No && matches!(code, 401 | 407);
            let code = if is_cancel { 487 } else { code };
            self.remove_leg(now, id);
            self.emit_terminal(id, LegEvent::Failed { code, received, reason, q850 });
        }
    }

    pub(super) fn hang_up(
        &mut self,
        now: Instant,
        id: LegId,
        reason: Option<String>,
    ) -> Result<(), CommandError> {
        let reason = reason.map(|r| r.chars().filter(|c| !c.is_control()).collect::<String>());
        let leg = self.legs.get_mut(&id).ok_or(CommandError::Ended)?;
        match &mut leg.phase {
            Phase::Ringing(ringing) => {
                let tx = ringing.invite;
                self.finish_invite(now, id, tx, &Rejection::new(480, "Temporarily Unavailable"));
                self.emit_end(id, EndedBy::Local, reason);
            }
            Phase::Calling(calling) if calling.cancel == Cancel::No => {
                let tx = calling.invite;
                calling.cancel = Cancel::Wanted;
                calling.cancel_reason = reason;
                if self.clients.get(&tx).is_some_and(ClientTx::has_provisional) {
                    self.send_cancel(now, id, tx);
                }
            }
            Phase::Calling(_) => {}
            Phase::Up => self.leave(now, id, EndedBy::Local, reason),
            Phase::Leaving(_) => return Err(CommandError::Ended),
        }
        Ok(())
    }

    pub(super) fn send_cancel(&mut self, now: Instant, id: LegId, invite: TxId) {
        let Some(Phase::Calling(calling)) = self.legs.get_mut(&id).map(|l| &mut l.phase) else { return };
        calling.cancel = Cancel::Sent;
        let reason = calling.cancel_reason.clone();
        let Some(client) = self.clients.get(&invite) else { return };
        let mut cancel = with_fields_of(&client.request, "CANCEL");
        if let Some(reason) = reason {
            cancel.headers.push("Reason", reason);
        }
        let (flow, reconnect) = (client.flow, client.reconnect.clone());
        let branch = client.branch().to_owned();
        self.open_client(now, flow, reconnect, branch, cancel, Some(id));
        self.expect_cancelled(now, invite);
    }

    /// Told as cancelled (the caller asked for it), ended by BYE.
    fn leave_cancelled(&mut self, now: Instant, id: LegId, reason: Option<String>) {
        self.emit_terminal(
            id,
            LegEvent::Failed {
                code: 487,
                received: false,
                reason: "Request Terminated".to_owned(),
                q850: None,
            },
        );
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.phase = Phase::Leaving(super::leg::Leaving { reason, bye: None });
        }
        self.send_bye(now, id);
    }

    pub(super) fn send_info(
        &mut self,
        now: Instant,
        id: LegId,
        digit: char,
        duration: Duration,
    ) -> Result<(), CommandError> {
        let leg = self.legs.get(&id).ok_or(CommandError::Ended)?;
        match &leg.phase {
            Phase::Up => {}
            Phase::Leaving(_) => return Err(CommandError::Ended),
            Phase::Ringing(_) | Phase::Calling(_) => return Err(CommandError::WrongState),
        }
        let millis = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        self.ask_in_dialog(now, id, "INFO", |info, _, _| {
            info.set_body("application/dtmf-relay", crate::body::format_info_digit(digit, millis));
        })?;
        Ok(())
    }

    /// The final response (or none: 408) of BYE, INFO, UPDATE, CANCEL, PRACK.
    pub(super) fn on_request_done(
        &mut self,
        now: Instant,
        tx: TxId,
        request: &ClientTx,
        code: u16,
        response: Option<&Message>,
    ) {
        if let Some(lone) = request.lone {
            return self.finish_lone(lone, request, response);
        }
        let Some(id) = request.leg else { return };
        match (request.method(), self.legs.get(&id).map(|l| &l.phase)) {
            ("BYE", Some(Phase::Leaving(leaving))) if leaving.bye == Some(tx) => {
                self.remove_leg(now, id);
            }
            ("INFO", Some(Phase::Up)) if matches!(code, 408 | 481) => {
                self.leave(now, id, EndedBy::Lost, None);
            }
            ("INFO", Some(Phase::Up)) if code >= 300 => self.emit(id, LegEvent::InfoRefused { code }),
            ("REFER", Some(Phase::Up)) => self.on_refer_done(id, code),
            ("UPDATE", Some(_)) => self.on_update_done(now, id, tx, code, response),
            _ => {}
        }
    }
}

/// The ACK of a 2xx, with the credentials of its INVITE (§22.1).
fn ack(leg: &Leg, cseq: u32, branch: &str, user_agent: &str) -> Bytes {
    let mut ack = leg.dialog.request_numbered("ACK", cseq, branch, user_agent);
    leg.credentials.iter().for_each(|(name, value)| ack.headers.push(name, value.clone()));
    ack.encode()
}

pub(super) fn from_value(request: &InviteRequest, host: &str) -> String {
    let display: String =
        request.from_display.chars().filter(|c| !c.is_control() && *c != '"' && *c != '\\').collect();
    let uri = SipUri::format("sip", &request.from_user, host);
    if display.is_empty() { format!("<{uri}>") } else { format!("\"{display}\" <{uri}>") }
}

/// Header fields of the caller's own may not forge the dialog's, nor break lines.
pub(super) fn is_free_header(name: &str, value: &str) -> bool {
    let owned = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Contact",
        "Route",
        "Record-Route",
        "Max-Forwards",
        "Content-Type",
        "Content-Length",
        "Allow",
        "User-Agent",
        "Content-Encoding",
        "Require",
        "Supported",
        "Session-Expires",
        "Min-SE",
        "Authorization",
        "Proxy-Authorization",
    ];
    let name = crate::message::Header::new(name, "").name().to_owned();
    is_token(&name) && !owned.contains(&name.as_str()) && !value.chars().any(char::is_control)
}
