//! One SIP leg, of a phone that called us or that we called: commands in order, events as news, and its session.
//!
//! The agent answers commands in its own time; a call never waits for it, so commands stand in line here. RTP is not
//! its matter: several legs that are dialled at once share one pair of ports.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use patchcord_core::call::PhoneMedia;
use patchcord_core::vocabulary::{Cause, DialRefusal, Digit, DigitPress, Reason, q850_text};
use patchcord_sip::{
    CallLeg, EndedBy, LegEvent, LegEvents, ReferId, Rejection, ReofferId, SipError, format_q850,
    parse_info_digit,
};
use tracing::debug;

use super::session::{Session, SessionError};

/// One SIP leg.
pub struct SipLeg {
    leg: Arc<CallLeg>,
    events: LegEvents,
    over: bool,
    waiting: VecDeque<LegCommand>,
    running: Option<Running>,
    session: Session,
    media: Option<PhoneMedia>,
}

/// What a phone did.
#[derive(Debug, Clone, PartialEq)]
pub enum LegNews {
    /// Our INVITE left, or it is known which of several counts.
    Sent {
        /// Its SIP Call-ID.
        leg_id: Box<str>,
    },
    /// It has our call, and nothing rings yet.
    Trying,
    /// It rings.
    Ringing,
    /// It lets us hear something before it answers.
    Early(PhoneMedia),
    /// It answered.
    Answered(PhoneMedia),
    /// Its audio was agreed on, or changed.
    Media(PhoneMedia),
    /// It pressed a key outside the audio.
    Digit(DigitPress),
    /// Of a REFER.
    Referral(ReferralNews),
    /// It is up, and nothing was agreed on: it has to be hung up.
    Unusable(Reason),
    /// It did not answer; nothing follows.
    Failed(DialRefusal),
    /// It is gone; nothing follows.
    Gone {
        /// Why.
        reason: Reason,
        /// The Q.850 cause that it gave.
        q850: Option<u8>,
    },
}

/// What is heard of a REFER (RFC 3515).
#[derive(Clone, PartialEq, Eq)]
pub enum ReferralNews {
    /// The phone asks us to call somebody in its place; [`SipLeg::answer_refer`] answers.
    Asked {
        /// For the answer.
        id: ReferId,
        /// The user part that it names.
        target: String,
    },
    /// The phone answered ours with that status: from 300 on it does not try.
    Answered(u16),
    /// The status of the call that we asked for.
    Progress(u16),
}

impl fmt::Debug for ReferralNews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { id, .. } => write!(f, "Asked({id:?})"),
            Self::Answered(code) => write!(f, "Answered({code})"),
            Self::Progress(code) => write!(f, "Progress({code})"),
        }
    }
}

/// Why we end a leg, as its Reason field says it (RFC 3326).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// For the reason of the call's own end.
    Cause(Cause),
    /// For that Q.850 cause.
    Q850(u8),
    /// Another one answered first: phones that read it show no missed call.
    AnsweredElsewhere,
}

impl Goodbye {
    /// For the Q.850 cause with which a transfer lets go of a leg.
    pub fn of_leg(q850: u8) -> Self {
        if q850 == NOT_SELECTED { Self::AnsweredElsewhere } else { Self::Q850(q850) }
    }

    fn reason(self) -> String {
        match self {
            Self::Cause(cause) => format_q850(cause.row().q850, cause.row().q850_text),
            Self::Q850(q850) => format_q850(q850, q850_text(q850)),
            Self::AnsweredElsewhere => {
                let q850 = format_q850(NOT_SELECTED, q850_text(NOT_SELECTED));
                format!("SIP;cause=200;text=\"Call completed elsewhere\", {q850}")
            }
        }
    }
}

impl From<Cause> for Goodbye {
    fn from(cause: Cause) -> Self {
        Self::Cause(cause)
    }
}

type Running = Pin<Box<dyn Future<Output = Result<(), SipError>> + Send>>;

enum LegCommand {
    Ring,
    Progress(String),
    Answer(String),
    Reject(Rejection),
    HangUp(String),
    Refer(String),
    AnswerRefer(ReferId, bool),
    AnswerReoffer(ReofferId, String),
    RefuseReoffer(ReofferId, u16),
}

impl SipLeg {
    /// A leg with its session; `media` is what it agreed on, if that is known already.
    pub fn new((leg, events): (CallLeg, LegEvents), session: Session, media: Option<PhoneMedia>) -> Self {
        let (waiting, running) = (VecDeque::new(), None);
        Self { leg: Arc::new(leg), events, over: false, waiting, running, session, media }
    }

    /// Sends 180.
    pub fn ring(&mut self) {
        self.waiting.push_back(LegCommand::Ring);
    }

    /// Sends 183 with that description.
    pub fn progress(&mut self, description: String) {
        self.waiting.push_back(LegCommand::Progress(description));
    }

    /// Sends 200 with that description.
    pub fn answer(&mut self, description: String) {
        self.waiting.push_back(LegCommand::Answer(description));
    }

    /// Refuses the unanswered call.
    pub fn reject(&mut self, rejection: Rejection) {
        self.waiting.push_back(LegCommand::Reject(rejection));
    }

    /// Ends it for that reason: BYE once it is answered, CANCEL while we call.
    pub fn hang_up(&mut self, why: impl Into<Goodbye>) {
        self.waiting.push_back(LegCommand::HangUp(why.into().reason()));
    }

    /// Asks it to call `target`, a SIP URI, in our place.
    pub fn refer(&mut self, target: String) {
        self.waiting.push_back(LegCommand::Refer(target));
    }

    /// Takes or refuses its REFER.
    pub fn answer_refer(&mut self, id: ReferId, is_taken: bool) {
        self.waiting.push_back(LegCommand::AnswerRefer(id, is_taken));
    }

    /// Hands waiting commands to the agent, one at a time; ready when none is left.
    pub fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(running) = &mut self.running {
                let Poll::Ready(done) = running.as_mut().poll(cx) else { return Poll::Pending };
                self.running = None;
                if let Err(error) = done {
                    // The phone was first: its event is on the way.
                    debug!(%error, "a command came too late for the phone");
                }
            }
            let Some(command) = self.waiting.pop_front() else { return Poll::Ready(()) };
            self.running = Some(Box::pin(run(self.leg.clone(), command)));
        }
    }

    /// The next thing that the phone did; pending for good after its end.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<LegNews> {
        while !self.over {
            let Poll::Ready(event) = self.events.poll_next(cx) else { return Poll::Pending };
            let Some(event) = event else {
                self.over = true;
                return Poll::Ready(LegNews::Gone { reason: Reason::Internal, q850: None });
            };
            self.over = event.is_terminal();
            if let Some(news) = self.hear(event) {
                return Poll::Ready(news);
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

    fn hear(&mut self, event: LegEvent) -> Option<LegNews> {
        match event {
            LegEvent::Cancelled { reason } => Some(gone(Reason::Canceled, reason.as_deref())),
            LegEvent::Acked { answer } if self.media.is_none() => {
                Some(self.agree(answer, LegNews::Media).unwrap_or_else(LegNews::Unusable))
            }
            // Without an answer nothing was ours to be answered, or the session stays as it was.
            LegEvent::ReofferAcked { answer: sdp } | LegEvent::ReofferAnswered { sdp } => {
                sdp.map(|answer| self.agree(Some(answer), LegNews::Media).unwrap_or_else(LegNews::Unusable))
            }
            LegEvent::Reoffer { id, offer } => self.take_reoffer(id, offer),
            LegEvent::Refer { id, target } => {
                Some(LegNews::Referral(ReferralNews::Asked { id, target: target.user }))
            }
            LegEvent::ReferAnswered { code } => Some(LegNews::Referral(ReferralNews::Answered(code))),
            LegEvent::ReferProgress { code } => Some(LegNews::Referral(ReferralNews::Progress(code))),
            LegEvent::Info { content_type, body } => digit(&content_type, &body).map(LegNews::Digit),
            LegEvent::Trying => Some(LegNews::Trying),
            LegEvent::Ringing { sdp: None, .. } => Some(LegNews::Ringing),
            // What cannot be heard still rings.
            LegEvent::Ringing { sdp, .. } => {
                Some(self.agree(sdp, LegNews::Early).unwrap_or(LegNews::Ringing))
            }
            // Some answer once and for all before they take the call.
            LegEvent::Answered { sdp: None } if self.media.is_some() => {
                self.media.clone().map(LegNews::Answered)
            }
            LegEvent::Answered { sdp } => {
                Some(self.agree(sdp, LegNews::Answered).unwrap_or_else(LegNews::Unusable))
            }
            LegEvent::Failed { code: 408, received: false, .. } => {
                Some(LegNews::Failed(DialRefusal::of_silence()))
            }
            LegEvent::Failed { code, q850, .. } => Some(LegNews::Failed(DialRefusal::of_status(code, q850))),
            LegEvent::Ended { by, reason, .. } => {
                let why = match by {
                    EndedBy::Remote => Reason::CallerHungUp,
                    EndedBy::Timeout => Reason::NoAck,
                    EndedBy::Lost => Reason::SessionExpired,
                    // A call that ended it itself hears no more; the agent's own end is none of the phone's.
                    EndedBy::Local => Reason::Internal,
                };
                Some(gone(why, reason.as_deref()))
            }
            LegEvent::Acked { .. } | LegEvent::InfoRefused { .. } | LegEvent::ReofferRefused { .. } => None,
        }
    }

    fn agree(&mut self, answer: Option<String>, news: fn(PhoneMedia) -> LegNews) -> Result<LegNews, Reason> {
        let agreed = answer.ok_or(SessionError::Unreadable).and_then(|answer| self.session.accept(&answer));
        let media = agreed.map_err(SessionError::reason)?;
        self.media = Some(media.clone());
        Ok(news(media))
    }

    fn take_reoffer(&mut self, id: ReofferId, offer: Option<String>) -> Option<LegNews> {
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
                self.media = Some(media.clone());
                Some(LegNews::Media(media))
            }
            Err(error) => {
                self.waiting.push_back(LegCommand::RefuseReoffer(id, error.status()));
                None
            }
        }
    }
}

impl fmt::Debug for SipLeg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipLeg").field("leg", &self.leg).finish_non_exhaustive()
    }
}

/// A refusal with the cause of the call.
pub fn rejection(status: u16, cause: Cause) -> Rejection {
    let row = cause.row();
    Rejection::new(status, phrase(status)).with_q850(row.q850, row.q850_text)
}

fn gone(reason: Reason, header: Option<&str>) -> LegNews {
    LegNews::Gone { reason, q850: header.and_then(patchcord_sip::parse_q850) }
}

/// Q.850 "Non-selected user clearing".
const NOT_SELECTED: u8 = 26;

async fn run(leg: Arc<CallLeg>, command: LegCommand) -> Result<(), SipError> {
    match command {
        LegCommand::Ring => leg.ringing().await,
        LegCommand::Progress(description) => leg.progress(description).await,
        LegCommand::Answer(description) => leg.answer(description).await,
        LegCommand::Reject(rejection) => leg.reject(rejection).await,
        LegCommand::HangUp(reason) => leg.hang_up(Some(reason)).await,
        LegCommand::Refer(target) => leg.refer(target).await,
        LegCommand::AnswerRefer(id, is_taken) => leg.answer_refer(id, is_taken).await,
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
