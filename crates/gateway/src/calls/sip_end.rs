//! A SIP leg as its call sees it: commands in order, events as inputs, and the session's description.
//!
//! The agent answers commands in its own time; the call never waits for it, so commands stand in line here.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use patchcord_core::call::{Input, PhoneMedia};
use patchcord_core::vocabulary::{Cause, Digit, DigitPress, Reason};
use patchcord_sip::{
    CallLeg, EndedBy, LegEvent, LegEvents, Rejection, ReofferId, SipError, format_q850, parse_info_digit,
};
use tracing::debug;

use super::session::{Session, SessionError};
use crate::net::RtpSocket;

/// One SIP leg.
pub struct SipEnd {
    leg: Arc<CallLeg>,
    events: LegEvents,
    over: bool,
    waiting: VecDeque<LegCommand>,
    running: Option<Running>,
    session: Session,
    /// The answer, or our offer, that goes with the 200.
    description: String,
    media: Option<PhoneMedia>,
    /// Its RTP ports.
    pub rtp: RtpSocket,
}

type Running = Pin<Box<dyn Future<Output = Result<(), SipError>> + Send>>;

enum LegCommand {
    Ring,
    Progress(String),
    Answer(String),
    Reject(Rejection),
    HangUp(String),
    AnswerReoffer(ReofferId, String),
    RefuseReoffer(ReofferId, u16),
}

impl SipEnd {
    /// A leg whose 200 will carry `description`; `media` is what it agrees on, if that is known already.
    pub fn new(
        (leg, events): (CallLeg, LegEvents),
        rtp: RtpSocket,
        session: Session,
        description: String,
        media: Option<PhoneMedia>,
    ) -> Self {
        Self {
            leg: Arc::new(leg),
            events,
            over: false,
            waiting: VecDeque::new(),
            running: None,
            session,
            description,
            media,
            rtp,
        }
    }

    /// Sends 180.
    pub fn ring(&mut self) {
        self.waiting.push_back(LegCommand::Ring);
    }

    /// Sends 183 with the session's description.
    pub fn progress(&mut self) {
        self.waiting.push_back(LegCommand::Progress(self.description.clone()));
    }

    /// Sends 200 with the session's description.
    pub fn answer(&mut self) {
        let description = std::mem::take(&mut self.description);
        self.waiting.push_back(LegCommand::Answer(description));
    }

    /// Refuses the unanswered call.
    pub fn reject(&mut self, status: u16, cause: Cause) {
        self.waiting.push_back(LegCommand::Reject(rejection(status, cause)));
    }

    /// Sends BYE.
    pub fn hang_up(&mut self, cause: Cause) {
        let row = cause.row();
        self.waiting.push_back(LegCommand::HangUp(format_q850(row.q850, row.q850_text)));
    }

    /// Hands waiting commands to the agent, one at a time; ready when none is left.
    pub fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(running) = &mut self.running {
                let Poll::Ready(done) = running.as_mut().poll(cx) else { return Poll::Pending };
                self.running = None;
                if let Err(error) = done {
                    // The caller was first: its event is on the way.
                    debug!(%error, "a command came too late for the phone");
                }
            }
            let Some(command) = self.waiting.pop_front() else { return Poll::Ready(()) };
            self.running = Some(Box::pin(run(self.leg.clone(), command)));
        }
    }

    /// The next thing that the phone did by SIP.
    pub fn poll_leg(&mut self, cx: &mut Context<'_>) -> Poll<Input<'static>> {
        while !self.over {
            let Poll::Ready(event) = self.events.poll_next(cx) else { return Poll::Pending };
            let Some(event) = event else {
                self.over = true;
                return Poll::Ready(Input::PhoneGone(Reason::Internal));
            };
            self.over = event.is_terminal();
            if let Some(input) = self.hear(event) {
                return Poll::Ready(input);
            }
        }
        Poll::Pending
    }

    /// The media path, for the log.
    pub fn describe(&self) -> String {
        let Some(media) = &self.media else { return "rtp".to_owned() };
        let transport = if media.srtp.is_some() { "srtp" } else { "rtp" };
        format!("{transport} {}", media.codec)
    }

    fn hear(&mut self, event: LegEvent) -> Option<Input<'static>> {
        match event {
            LegEvent::Cancelled { .. } => Some(Input::PhoneGone(Reason::Canceled)),
            LegEvent::Acked { answer } if self.media.is_none() => Some(self.take_answer(answer)),
            // Without an answer nothing was ours to be answered, or the session stays as it was.
            LegEvent::ReofferAcked { answer: sdp } | LegEvent::ReofferAnswered { sdp } => {
                sdp.map(|answer| self.take_answer(Some(answer)))
            }
            LegEvent::Reoffer { id, offer } => self.take_reoffer(id, offer),
            LegEvent::Info { content_type, body } => digit(&content_type, &body).map(Input::PhoneDigit),
            LegEvent::Ended { by: EndedBy::Remote, .. } => Some(Input::PhoneGone(Reason::CallerHungUp)),
            LegEvent::Ended { by: EndedBy::Timeout, .. } => Some(Input::PhoneGone(Reason::NoAck)),
            LegEvent::Ended { by: EndedBy::Lost, .. } => Some(Input::PhoneGone(Reason::SessionExpired)),
            // A call that ended it itself hears no more; the agent's own end is none of the caller's.
            LegEvent::Ended { by: EndedBy::Local, .. } => Some(Input::PhoneGone(Reason::Internal)),
            // Nothing that concerns a call that came in.
            LegEvent::Failed { .. }
            | LegEvent::Acked { .. }
            | LegEvent::InfoRefused { .. }
            | LegEvent::Ringing { .. }
            | LegEvent::Answered { .. }
            | LegEvent::ReofferRefused { .. } => None,
        }
    }

    fn take_answer(&mut self, answer: Option<String>) -> Input<'static> {
        let agreed = answer.ok_or(SessionError::Unreadable).and_then(|answer| self.session.accept(&answer));
        match agreed {
            Ok(media) => self.agree(media),
            // The phone is still there and has to be told.
            Err(error) => Input::HangUp(error.reason()),
        }
    }

    fn take_reoffer(&mut self, id: ReofferId, offer: Option<String>) -> Option<Input<'static>> {
        let Some(offer) = offer else {
            self.waiting.push_back(match self.session.offer() {
                Ok(ours) => LegCommand::AnswerReoffer(id, ours),
                Err(error) => LegCommand::RefuseReoffer(id, error.status()),
            });
            return None;
        };
        match self.session.answer(&offer) {
            Ok((media, answer)) => {
                self.waiting.push_back(LegCommand::AnswerReoffer(id, answer));
                Some(self.agree(media))
            }
            Err(error) => {
                self.waiting.push_back(LegCommand::RefuseReoffer(id, error.status()));
                None
            }
        }
    }

    fn agree(&mut self, media: PhoneMedia) -> Input<'static> {
        self.media = Some(media.clone());
        Input::PhoneMedia(media)
    }
}

impl fmt::Debug for SipEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipEnd").field("leg", &self.leg).field("rtp", &self.rtp).finish_non_exhaustive()
    }
}

/// A refusal with the cause of the call.
pub fn rejection(status: u16, cause: Cause) -> Rejection {
    let row = cause.row();
    Rejection::new(status, phrase(status)).with_q850(row.q850, row.q850_text)
}

async fn run(leg: Arc<CallLeg>, command: LegCommand) -> Result<(), SipError> {
    match command {
        LegCommand::Ring => leg.ringing().await,
        LegCommand::Progress(description) => leg.progress(description).await,
        LegCommand::Answer(description) => leg.answer(description).await,
        LegCommand::Reject(rejection) => leg.reject(rejection).await,
        LegCommand::HangUp(reason) => leg.hang_up(Some(reason)).await,
        LegCommand::AnswerReoffer(id, description) => leg.answer_reoffer(id, description).await,
        LegCommand::RefuseReoffer(id, status) => leg.refuse_reoffer(id, status).await,
    }
}

fn digit(content_type: &str, body: &[u8]) -> Option<DigitPress> {
    let info = parse_info_digit(content_type, body)?;
    let duration = info.duration_ms.map(|ms| Duration::from_millis(ms.into()));
    Some(DigitPress { digit: Digit::try_from(info.digit).ok()?, duration })
}

/// The phrases of the statuses that a call can end with (RFC 3261 §21).
fn phrase(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        404 => "Not Found",
        408 => "Request Timeout",
        480 => "Temporarily Unavailable",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        603 => "Decline",
        _ => "Refused",
    }
}
