//! A phone that we dial: one destination, as many INVITEs as it takes, one leg in the end.
//!
//! A number goes out by the trunks that may carry it, one after another; an extension rings all its phones at once, and the
//! first that answers has the call. Whoever owns the leg hears one story: it rings, it may be heard early, it was
//! answered or refused, it is gone. How long it may ring is the owner's to know. Source: RFC 3261 §13, §16.7.

mod refer;
mod refusals;
mod trunk_silence;

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use patchcord_core::vocabulary::{CallId, Cause, DialRefusal, Moment, Reason};
use patchcord_sip::{OutgoingCall, SipError};
use tracing::{debug, error, info};

use self::refusals::{is_the_carriers_own, unsent, weight};
use self::trunk_silence::patience;
use super::dial_routes::{Destination, DialTarget, DialWish, TrunkTerms, rounds};
use super::exchange::Exchange;
use super::occupied::Occupation;
use super::outbound::limits_of_all;
use super::session::Session;
use super::sip_leg::{Goodbye, LegNews, SipLeg};
use super::toll_guard::TollPasses;
use crate::net::{RtpPort, RtpSocket};

/// A phone that is being dialled, or was.
pub struct DialledLeg {
    exchange: Arc<Exchange>,
    /// The call that it belongs to.
    call_id: CallId,
    /// What has not been tried, a round after another.
    rounds: VecDeque<Vec<DialTarget>>,
    /// The leave to go out at all.
    passes: TollPasses,
    locating: Option<Locating>,
    /// The INVITEs under way; the one that was answered, alone.
    branches: Vec<Branch>,
    /// Legs that were given up, until they were told.
    leaving: Vec<SipLeg>,
    phase: Phase,
    rtp: Option<RtpSocket>,
    leg_id: Box<str>,
    /// The answer, to be told after the id of the leg that gave it.
    answered: Option<LegNews>,
    /// The best of the refusals, in the sense of RFC 3261 §16.7.
    refusal: Option<DialRefusal>,
    /// Until when it may ring.
    rings_until: Moment,
    /// Until when the trunk of this round must have said something.
    silent_until: Option<Moment>,
    /// Until when the trunk lets the answered call last.
    over_at: Option<Moment>,
    /// The extension that is called has a call as long as this leg lives.
    _occupation: Option<Occupation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Dialling { rang: bool },
    Up,
    Over,
}

/// One INVITE.
struct Branch {
    target: DialTarget,
    step: Step,
    /// The other end said anything at all.
    heard: bool,
}

enum Step {
    /// The session is taken when the INVITE has left.
    Inviting(Inviting, Option<Box<Session>>),
    Calling(Box<SipLeg>),
}

type Locating = Pin<Box<dyn Future<Output = Vec<(DialTarget, Result<IpAddr, SipError>)>> + Send>>;
type Inviting = Pin<Box<dyn Future<Output = Result<OutgoingCall, SipError>> + Send>>;

impl DialledLeg {
    /// Dials; poll it on the media worker where the leg stays. `passes` are those that were taken before: it begins
    /// with the trunk that one is of, for those before it had no room. `rings_until` is when the owner gives it up.
    pub fn dial(exchange: &Arc<Exchange>, wish: &DialWish, passes: TollPasses, rings_until: Moment) -> Self {
        let mut rounds = VecDeque::from(rounds(exchange, wish));
        let is_held =
            |target: &DialTarget| target.trunk.as_ref().is_some_and(|trunk| passes.has(&trunk.name));
        if let Some(begin) = rounds.iter().position(|round| round.iter().any(is_held)) {
            rounds.drain(..begin);
        }
        Self {
            exchange: exchange.clone(),
            call_id: wish.call_id.clone(),
            rounds,
            passes,
            locating: None,
            branches: Vec::new(),
            leaving: Vec::new(),
            phase: Phase::Dialling { rang: false },
            rtp: None,
            leg_id: "".into(),
            answered: None,
            refusal: None,
            rings_until,
            silent_until: None,
            over_at: None,
            _occupation: match &wish.destination {
                Destination::Extension(number) => Some(exchange.occupied.begin(number)),
                Destination::Phone(_) => None,
            },
        }
    }

    /// Ends the call in whatever state it is: CANCEL before its answer, BYE after, also to an answer that is on its way
    /// or that nobody was told of yet.
    pub fn hang_up(&mut self, why: Goodbye) {
        self.answered = None;
        match (self.phase, self.branches.first_mut()) {
            (Phase::Up, Some(Branch { step: Step::Calling(leg), .. })) => leg.hang_up(why),
            (Phase::Dialling { .. }, _) => {
                self.rounds.clear();
                self.locating = None;
                self.give_up_branches(|leg| leg.hang_up(why));
                self.phase = Phase::Over;
            }
            (Phase::Up | Phase::Over, _) => {}
        }
    }

    /// The next thing that the phone did; nothing follows [`LegNews::Failed`] and [`LegNews::Gone`].
    pub fn poll(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<LegNews> {
        loop {
            if let Some(answered) = self.answered.take() {
                return Poll::Ready(answered);
            }
            match self.phase {
                Phase::Over => return Poll::Pending,
                Phase::Up => return self.poll_answered(cx, now),
                Phase::Dialling { .. } => {}
            }
            self.poll_locating(cx);
            let mut at = 0;
            while let Some(branch) = self.branches.get_mut(at) {
                let Poll::Ready(news) = branch.poll(cx) else {
                    at += 1;
                    continue;
                };
                if let Some(news) = self.hear(at, news, now) {
                    return Poll::Ready(news);
                }
            }
            if !self.branches.is_empty() || self.locating.is_some() {
                if self.silent_until.is_none_or(|until| now < until) {
                    return Poll::Pending;
                }
                info!(others = self.rounds.len(), "the trunk says nothing: it is given up");
                self.consider(DialRefusal::of_reason(Reason::CarrierUnreachable));
                self.locating = None;
                self.give_up_branches(|leg| leg.hang_up(Cause::new(Reason::CarrierUnreachable)));
            }
            if let Some(refusal) = self.next_round(now) {
                self.phase = Phase::Over;
                self.silent_until = None;
                return Poll::Ready(LegNews::Failed(refusal));
            }
        }
    }

    /// Hands commands to the SIP agent; ready when none waits.
    pub fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.leaving.retain_mut(|leg| leg.poll_commands(cx).is_pending());
        let mut done = self.leaving.is_empty();
        for branch in &mut self.branches {
            if let Step::Calling(leg) = &mut branch.step {
                done &= leg.poll_commands(cx).is_ready();
            }
        }
        if done { Poll::Ready(()) } else { Poll::Pending }
    }

    /// When [`DialledLeg::poll`] is due whatever happens.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.silent_until.or(self.over_at)
    }

    /// Receives one datagram of its RTP ports.
    pub fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(RtpPort, usize, SocketAddr)> {
        self.rtp.as_ref().map_or(Poll::Pending, |rtp| rtp.poll_receive(cx, buffer))
    }

    /// Sends a datagram; what the system cannot take is lost like on any network.
    pub fn send(&self, port: RtpPort, packet: &[u8], to: SocketAddr) {
        if let Some(rtp) = &self.rtp {
            rtp.send(port, packet, to);
        }
    }

    /// The SIP Call-ID of the leg: of the one that answered, else of the one that was dialled last; empty before.
    pub fn leg_id(&self) -> &str {
        &self.leg_id
    }

    /// The media path, for the log.
    pub fn describe(&self) -> String {
        match self.branches.first() {
            Some(Branch { step: Step::Calling(leg), .. }) => leg.describe(),
            _ => "rtp".to_owned(),
        }
    }

    /// What one branch's news are to the owner.
    fn hear(&mut self, at: usize, news: BranchNews, now: Moment) -> Option<LegNews> {
        match news {
            BranchNews::Invited(call) => {
                self.exchange.sip_ladders.claim(&self.call_id, &call.call_id);
                self.exchange.wire_log.iter().for_each(|log| log.claim(&self.call_id, &call.call_id));
                self.leg_id = call.call_id.as_str().into();
                self.branches.get_mut(at)?.invited(call);
                Some(LegNews::Sent { leg_id: self.leg_id.clone() })
            }
            BranchNews::Leg(LegNews::Sent { .. } | LegNews::Trying | LegNews::Referral(_)) => {
                self.heard_from(at)
            }
            BranchNews::Leg(LegNews::Ringing) => {
                self.heard_from(at);
                self.rings()
            }
            // Several phones that speak before they answer: one is enough.
            BranchNews::Leg(LegNews::Early(media) | LegNews::Media(media)) => {
                self.heard_from(at);
                if at == 0 { Some(LegNews::Early(media)) } else { self.rings() }
            }
            BranchNews::Leg(LegNews::Answered(media)) => {
                self.win(at, now);
                self.answered = Some(LegNews::Answered(media));
                Some(LegNews::Sent { leg_id: self.leg_id.clone() })
            }
            BranchNews::Leg(LegNews::Digit(press)) => Some(LegNews::Digit(press)),
            BranchNews::Leg(LegNews::Unusable(reason)) => {
                if let Step::Calling(mut leg) = self.branches.remove(at).step {
                    leg.hang_up(Cause::new(reason));
                    self.leaving.push(*leg);
                }
                self.consider(DialRefusal::of_reason(reason));
                None
            }
            BranchNews::Leg(LegNews::Failed(refusal)) => {
                let Branch { target, heard, .. } = self.branches.remove(at);
                let status = refusal.far_end.and_then(|far_end| far_end.sip_status);
                let trunk = target.trunk.as_ref().map(|trunk| &*trunk.name);
                debug!(trunk, status, "the phone was not reached");
                let is_silence = status.is_none() && !heard;
                let unreachable = DialRefusal::of_reason(Reason::CarrierUnreachable);
                self.consider(if is_silence { unreachable } else { refusal });
                if status.is_some_and(|status| status >= 600) {
                    self.rounds.clear();
                    self.give_up_branches(|leg| leg.hang_up(Cause::new(refusal.reason)));
                }
                None
            }
            BranchNews::Leg(LegNews::Gone { reason, .. }) | BranchNews::Unsent(reason) => {
                self.branches.remove(at);
                self.consider(DialRefusal::of_reason(reason));
                None
            }
        }
    }

    fn heard_from(&mut self, at: usize) -> Option<LegNews> {
        self.silent_until = None;
        self.branches.get_mut(at)?.heard = true;
        None
    }

    /// It rings; told once.
    fn rings(&mut self) -> Option<LegNews> {
        let told = matches!(self.phase, Phase::Dialling { rang: true });
        self.phase = Phase::Dialling { rang: true };
        (!told).then_some(LegNews::Ringing)
    }

    /// The first answer has the call; the others are told so, and those that answer all the same are hung up.
    fn win(&mut self, at: usize, now: Moment) {
        let winner = self.branches.remove(at);
        self.over_at = winner.target.trunk.as_ref().map(|trunk| now + trunk.max_duration);
        self.give_up_branches(|leg| leg.hang_up(Goodbye::AnsweredElsewhere));
        self.leg_id = winner.target.call_id.clone();
        self.branches.push(winner);
        self.phase = Phase::Up;
        self.rounds.clear();
        self.silent_until = None;
    }

    fn give_up_branches(&mut self, tell: impl Fn(&mut SipLeg)) {
        for branch in self.branches.drain(..) {
            // One that is only being sent is taken back by the agent when nobody waits for it.
            if let Step::Calling(mut leg) = branch.step {
                tell(&mut leg);
                self.leaving.push(*leg);
            }
        }
        self.silent_until = None;
    }

    /// Keeps the refusal that says the most.
    fn consider(&mut self, refusal: DialRefusal) {
        if self.refusal.as_ref().is_none_or(|best| weight(best) <= weight(&refusal)) {
            self.refusal = Some(refusal);
        }
    }

    /// Begins the next round if the refusals of the one before allow it; else the final refusal.
    fn next_round(&mut self, now: Moment) -> Option<DialRefusal> {
        if self.refusal.is_some_and(|refusal| !is_the_carriers_own(&refusal)) {
            self.rounds.clear();
        }
        let Some(targets) = self.rounds.pop_front() else {
            return Some(self.refusal.unwrap_or(DialRefusal::of_reason(Reason::NoRoute)));
        };
        let Some(agent) = self.exchange.sip.clone() else {
            return Some(DialRefusal::of_reason(Reason::Internal));
        };
        let trunk = targets.first().and_then(|target| target.trunk.as_ref());
        if let Err(reason) = self.take_pass(trunk, now) {
            self.consider(DialRefusal::of_reason(reason));
            return None;
        }
        let left = self.rings_until - now;
        // A registered phone that says nothing is one that is not answered.
        self.silent_until = trunk.map(|_| now + patience(left, self.rounds.is_empty()));
        self.locating = Some(Box::pin(async move {
            let mut located = Vec::with_capacity(targets.len());
            for target in targets {
                let local = target.local_ip(&agent).await;
                located.push((target, local));
            }
            located
        }));
        None
    }

    /// Takes the leave to go out by the trunk that is tried next.
    fn take_pass(&mut self, trunk: Option<&TrunkTerms>, now: Moment) -> Result<(), Reason> {
        let of_all = limits_of_all(&self.exchange.config().outbound);
        let of_trunk = trunk.map(|trunk| (&*trunk.name, trunk.limits));
        let taken = self.passes.take(&self.exchange.toll, of_trunk, of_all, now);
        taken.map_err(|_| Reason::OverCapacity)
    }

    /// Sends the INVITEs of a round once it is known by which of our addresses its targets are reached.
    fn poll_locating(&mut self, cx: &mut Context<'_>) {
        let Some(locating) = &mut self.locating else { return };
        let Poll::Ready(located) = locating.as_mut().poll(cx) else { return };
        self.locating = None;
        let mut reachable = Vec::with_capacity(located.len());
        for (target, local) in located {
            match local {
                Ok(local) => reachable.push((target, local)),
                Err(error) => self.consider(unsent(&error)),
            }
        }
        let Some((_, first)) = reachable.first() else { return };
        let port = match self.bind(*first, reachable.iter().all(|(_, local)| local.is_loopback())) {
            Ok(port) => port,
            Err(reason) => return self.consider(DialRefusal::of_reason(reason)),
        };
        for (target, local) in reachable {
            match self.invite(target, (local, port).into()) {
                Ok(branch) => self.branches.push(branch),
                Err(reason) => self.consider(DialRefusal::of_reason(reason)),
            }
        }
    }

    /// Opens the RTP ports, unless those of an earlier round do.
    fn bind(&mut self, local: IpAddr, is_near: bool) -> Result<u16, Reason> {
        let any: IpAddr = match local {
            local if is_near => local,
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        if self.rtp.as_ref().is_none_or(|rtp| rtp.address().ip() != any) {
            self.rtp = Some(self.exchange.rtp_ports.bind(any).map_err(|error| {
                error!(%error, "no RTP port could be opened");
                if error.kind() == io::ErrorKind::AddrInUse { Reason::OverCapacity } else { Reason::Internal }
            })?);
        }
        self.rtp.as_ref().map(|rtp| rtp.address().port()).ok_or(Reason::Internal)
    }

    fn invite(&self, mut target: DialTarget, rtp: SocketAddr) -> Result<Branch, Reason> {
        let agent = self.exchange.sip.clone().ok_or(Reason::Internal)?;
        let mut session = Session::new(rtp, None, &target.codecs, target.protection)?;
        target.request.offer = session.offer().map_err(|error| error.reason())?;
        let inviting = Box::pin(target.clone().invite(agent));
        Ok(Branch { target, step: Step::Inviting(inviting, Some(Box::new(session))), heard: false })
    }

    fn poll_answered(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<LegNews> {
        if self.over_at.is_some_and(|at| at <= now) {
            self.hang_up(Cause::new(Reason::MaxDuration).into());
            self.phase = Phase::Over;
            self.over_at = None;
            return Poll::Ready(LegNews::Gone { reason: Reason::MaxDuration, q850: None });
        }
        let Some(Branch { step: Step::Calling(leg), .. }) = self.branches.first_mut() else {
            return Poll::Pending;
        };
        leg.poll(cx).map(|news| {
            if let LegNews::Unusable(reason) = news {
                // It is up, and nothing can be said to it any more.
                leg.hang_up(Cause::new(reason));
                self.phase = Phase::Over;
                return LegNews::Gone { reason, q850: None };
            }
            if let LegNews::Gone { .. } = news {
                self.phase = Phase::Over;
            }
            news
        })
    }
}

/// What a branch has to say.
enum BranchNews {
    Invited(OutgoingCall),
    Leg(LegNews),
    Unsent(Reason),
}

impl Branch {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<BranchNews> {
        match &mut self.step {
            Step::Calling(leg) => leg.poll(cx).map(BranchNews::Leg),
            Step::Inviting(inviting, _) => inviting.as_mut().poll(cx).map(|invited| match invited {
                Ok(call) => BranchNews::Invited(call),
                Err(error) => BranchNews::Unsent(unsent(&error).reason),
            }),
        }
    }

    fn invited(&mut self, call: OutgoingCall) {
        let Step::Inviting(_, session) = &mut self.step else { return };
        let Some(session) = session.take() else { return };
        let session = match call.peer {
            Some(peer) => session.signalled_by(peer),
            None => *session,
        };
        self.target.call_id = call.call_id.as_str().into();
        self.step = Step::Calling(Box::new(SipLeg::new((call.leg, call.events), session, None)));
    }
}

impl fmt::Debug for DialledLeg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let branches = self.branches.len();
        f.debug_struct("DialledLeg")
            .field("phase", &self.phase)
            .field("branches", &branches)
            .finish_non_exhaustive()
    }
}
