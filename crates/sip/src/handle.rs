//! What the user of the agent holds: one handle and one stream of events per leg.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use crate::call::{Invitation, InviteRequest, LegEvent, ReferId, Rejection, ReofferId};
use crate::machine::{CallLine, Command, CommandError, Flow, LegId, LoneAnswer, LoneRequest, Way};

/// A call that came in and rings (100 Trying is sent).
#[derive(Debug)]
pub struct IncomingCall {
    /// Who calls whom, with what offer.
    pub invitation: Invitation,
    /// To answer, refuse and end it. Dropped, it refuses the call with 480.
    pub leg: CallLeg,
    /// What happens to it; CANCEL may come before the answer.
    pub events: LegEvents,
}

/// A call that we placed.
#[derive(Debug)]
pub struct OutgoingCall {
    /// To cancel and end it. Dropped, it ends the call.
    pub leg: CallLeg,
    /// What happens to it.
    pub events: LegEvents,
    /// Its Call-ID.
    pub call_id: String,
    /// Where its INVITE went first.
    pub peer: Option<SocketAddr>,
}

/// One leg, to act on. Dropping it ends the leg, in whatever state it is.
pub struct CallLeg {
    id: LegId,
    desk: Arc<Desk>,
}

/// The events of one leg, in order; `None` after the terminal one.
#[derive(Debug)]
pub struct LegEvents(mpsc::Receiver<LegEvent>);

/// Why something could not be done.
#[derive(Debug, thiserror::Error)]
pub enum SipError {
    /// The leg is over, or its state does not allow it.
    #[error(transparent)]
    Call(#[from] CommandError),
    /// The target is no SIP URI.
    #[error("the target is not a SIP URI")]
    BadTarget,
    /// No open socket can reach the target's transport or address family.
    #[error("no socket for the target's transport")]
    NoTransport,
    /// The target's name or address cannot be reached.
    #[error("the target cannot be reached: {0}")]
    Unreachable(std::io::Error),
    /// The agent has stopped.
    #[error("the SIP agent has stopped")]
    Stopped,
}

impl CallLeg {
    pub(crate) fn new(id: LegId, desk: Arc<Desk>) -> Self {
        Self { id, desk }
    }

    /// The leg's number within this agent.
    pub fn id(&self) -> LegId {
        self.id
    }

    /// Sends 180 Ringing.
    ///
    /// # Errors
    /// [`SipError::Call`] when the call does not ring any more.
    pub async fn ringing(&self) -> Result<(), SipError> {
        self.command(Command::Ringing).await
    }

    /// Sends 183 with a description: the caller may hear us before the answer. Reliably if the caller can;
    /// without that, an INVITE without an offer cannot have one.
    ///
    /// # Errors
    /// [`SipError::Call`] when the call does not ring any more, or this caller can take none.
    pub async fn progress(&self, sdp: String) -> Result<(), SipError> {
        self.command(Command::Progress(sdp)).await
    }

    /// Answers the call: the SDP answer, or our offer when the INVITE had none. `Ok` means that the 200 is
    /// sent and no CANCEL came before it; a later CANCEL has no effect. After a reliable [`CallLeg::progress`]
    /// the 200 follows its confirmation, and a CANCEL may come before.
    ///
    /// # Errors
    /// [`CommandError::Ended`] when the caller was first.
    pub async fn answer(&self, sdp: String) -> Result<(), SipError> {
        self.command(Command::Answer(sdp)).await
    }

    /// Refuses the call.
    ///
    /// # Errors
    /// [`SipError::Call`] when the call does not ring any more.
    pub async fn reject(&self, rejection: Rejection) -> Result<(), SipError> {
        self.command(Command::Reject(rejection)).await
    }

    /// Ends the leg in any state: 480 while it rings, CANCEL while we call, BYE once answered. `reason` is a
    /// Reason header value ([`crate::format_q850`]).
    ///
    /// # Errors
    /// [`CommandError::Ended`] when it is over.
    pub async fn hang_up(&self, reason: Option<String>) -> Result<(), SipError> {
        self.command(Command::Hangup(reason)).await
    }

    /// Sends a digit as INFO (`application/dtmf-relay`).
    ///
    /// # Errors
    /// [`SipError::Call`] when the call is not answered.
    pub async fn send_info(&self, digit: char, duration: Duration) -> Result<(), SipError> {
        self.command(Command::Info(digit, duration)).await
    }

    /// Asks the peer to call `target`, a SIP URI, in our place: [`LegEvent::ReferAnswered`] and
    /// [`LegEvent::ReferProgress`] tell how it goes.
    ///
    /// # Errors
    /// [`SipError::Call`] when the call is not answered.
    pub async fn refer(&self, target: String) -> Result<(), SipError> {
        self.command(Command::Refer(target)).await
    }

    /// Takes a [`LegEvent::Refer`] (202, and a NOTIFY that it is being tried) or refuses it (603).
    ///
    /// # Errors
    /// [`CommandError::WrongState`] when it was answered.
    pub async fn answer_refer(&self, id: ReferId, is_taken: bool) -> Result<(), SipError> {
        self.command(Command::AnswerRefer(id, is_taken)).await
    }

    /// Sends a re-INVITE with a new offer, or an UPDATE before the answer.
    ///
    /// # Errors
    /// [`CommandError::WrongState`] while another offer is open.
    pub async fn reoffer(&self, sdp: String) -> Result<(), SipError> {
        self.command(Command::Reoffer(sdp)).await
    }

    /// Answers a [`LegEvent::Reoffer`]: with the answer, or with our offer when it had none.
    ///
    /// # Errors
    /// [`CommandError::WrongState`] when it was answered, refused or withdrawn.
    pub async fn answer_reoffer(&self, id: ReofferId, sdp: String) -> Result<(), SipError> {
        self.command(Command::AnswerReoffer(id, sdp)).await
    }

    /// Refuses a [`LegEvent::Reoffer`] (488 when nothing is in common); the session stays as it was.
    ///
    /// # Errors
    /// [`CommandError::WrongState`] when it was answered, refused or withdrawn.
    pub async fn refuse_reoffer(&self, id: ReofferId, code: u16) -> Result<(), SipError> {
        self.command(Command::RejectReoffer(id, code)).await
    }

    async fn command(&self, command: Command) -> Result<(), SipError> {
        let (reply, done) = oneshot::channel();
        self.desk.ask(Ask::Command { leg: self.id, command, reply }).await?;
        Ok(done.await.map_err(|_| SipError::Stopped)??)
    }
}

impl std::fmt::Debug for CallLeg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("CallLeg").field(&self.id).finish()
    }
}

impl Drop for CallLeg {
    fn drop(&mut self) {
        self.desk.abandon(self.id);
    }
}

impl LegEvents {
    pub(crate) fn new(receiver: mpsc::Receiver<LegEvent>) -> Self {
        Self(receiver)
    }

    /// The next event; `None` after the terminal one. Cancel-safe.
    pub async fn next(&mut self) -> Option<LegEvent> {
        self.0.recv().await
    }

    /// The next event, for a user that polls; `None` after the terminal one.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<LegEvent>> {
        self.0.poll_recv(cx)
    }

    /// The next event if one waits.
    pub fn try_next(&mut self) -> Option<LegEvent> {
        self.0.try_recv().ok()
    }
}

/// What the agent task is asked for.
pub(crate) enum Ask {
    Command {
        leg: LegId,
        command: Command,
        reply: oneshot::Sender<Result<(), CommandError>>,
    },
    Invite {
        by: (Flow, Way),
        request: Box<InviteRequest>,
        reply: oneshot::Sender<Result<OutgoingCall, CommandError>>,
    },
    InviteBy {
        flow: Flow,
        line: Box<CallLine>,
        request: Box<InviteRequest>,
        reply: oneshot::Sender<Result<OutgoingCall, CommandError>>,
    },
    Lone {
        flow: Flow,
        request: Box<LoneRequest>,
        reply: oneshot::Sender<Result<LoneAnswer, CommandError>>,
    },
    Stop {
        done: oneshot::Sender<()>,
    },
}

/// The way to the agent task. Abandoned legs have a list of their own, bounded by the legs: a drop can
/// neither wait nor be lost.
pub(crate) struct Desk {
    asks: mpsc::Sender<Ask>,
    abandoned: Mutex<Vec<LegId>>,
    wake: Notify,
}

impl Desk {
    pub(crate) fn new() -> (Arc<Self>, mpsc::Receiver<Ask>) {
        let (asks, receiver) = mpsc::channel(ASK_QUEUE);
        (Arc::new(Self { asks, abandoned: Mutex::default(), wake: Notify::new() }), receiver)
    }

    pub(crate) async fn ask(&self, ask: Ask) -> Result<(), SipError> {
        self.asks.send(ask).await.map_err(|_| SipError::Stopped)
    }

    fn abandon(&self, leg: LegId) {
        self.abandoned.lock().unwrap_or_else(PoisonError::into_inner).push(leg);
        self.wake.notify_one();
    }

    pub(crate) async fn abandoned(&self) {
        self.wake.notified().await;
    }

    pub(crate) fn take_abandoned(&self) -> Vec<LegId> {
        std::mem::take(&mut *self.abandoned.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Commands that wait for the agent; their askers wait too.
const ASK_QUEUE: usize = 256;
