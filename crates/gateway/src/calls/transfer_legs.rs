//! The legs of a call's transfers, beside its own phone: each is dialled, heard and spoken to as the call says.
//!
//! At most one transfer is tried at a time, so these are a few; those that were let go stay until they were told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use patchcord_core::call::{Destination, Input, LegNews, LegNo, LegOrder, LegRefusal, RtpIdentity};
use patchcord_core::vocabulary::{CallId, Cause, DialRefusal, Moment, Reason};
use tracing::info;

use super::dial_routes::{self, DialWish, Shown};
use super::dialled_leg::DialledLeg;
use super::exchange::{Exchange, draw_rtp_identity};
use super::sip_leg::{self, Goodbye, ReferralNews};
use super::toll_guard::TollPasses;
use crate::net::RtpPort;

/// The legs of one call.
#[derive(Debug)]
pub struct TransferLegs {
    call_id: CallId,
    legs: Vec<TransferLeg>,
    /// Those that were let go, until the SIP agent knows.
    leaving: Vec<DialledLeg>,
}

#[derive(Debug)]
struct TransferLeg {
    no: LegNo,
    identity: RtpIdentity,
    leg: DialledLeg,
    /// Whom it calls.
    reached: dial_routes::Destination,
    /// Its INVITE left.
    was_sent: bool,
}

impl TransferLegs {
    /// Those of that call: none yet.
    pub fn of(call_id: &CallId) -> Self {
        Self { call_id: call_id.clone(), legs: Vec::new(), leaving: Vec::new() }
    }

    /// Does what the call wants of a leg; says whether there is one to be looked at that was not there before.
    pub fn carry_out(&mut self, exchange: &Arc<Exchange>, no: LegNo, order: LegOrder<'_>) -> bool {
        let dials = matches!(order, LegOrder::Dial { .. });
        match order {
            LegOrder::Dial { to, shown, until, .. } => {
                let destination = match to {
                    // Within the house nobody needs a trunk.
                    Destination::Phone(number)
                        if exchange.config().find_extension(number.as_str()).is_some() =>
                    {
                        dial_routes::Destination::Extension(number.as_str().into())
                    }
                    Destination::Phone(number) => dial_routes::Destination::Phone(number),
                    Destination::Extension(name) => dial_routes::Destination::Extension(name),
                };
                let reached = destination.clone();
                let (call_id, shown) = (self.call_id.clone(), Shown::IfAllowed(shown));
                let leg = DialledLeg::dial(
                    exchange,
                    &DialWish { call_id, destination, shown },
                    TollPasses::default(),
                    until,
                );
                // Without randomness nothing is dialled: the call's own deadline ends the leg.
                if let Ok(identity) = draw_rtp_identity() {
                    self.legs.push(TransferLeg { no, identity, leg, reached, was_sent: false });
                }
            }
            LegOrder::Cancel(q850) | LegOrder::HangUp(q850) => self.let_go(no, Goodbye::of_leg(q850)),
            LegOrder::Rtp { to, packet } => self.send(no, RtpPort::Rtp, packet, to),
            LegOrder::Rtcp { to, packet } => self.send(no, RtpPort::Rtcp, packet, to),
        }
        dials
    }

    /// The next thing that happened on one of them: news first, then what came to its ports, read into `buffer`.
    pub fn poll<'a>(&mut self, cx: &mut Context<'_>, now: Moment, buffer: &'a mut [u8]) -> Poll<Input<'a>> {
        for at in 0..self.legs.len() {
            let Some(leg) = self.legs.get_mut(at) else { break };
            while let Poll::Ready(news) = leg.leg.poll(cx, now) {
                let (no, Some(news)) = (leg.no, leg.tell(news)) else { continue };
                if matches!(news, LegNews::Refused(_) | LegNews::Failed(_) | LegNews::Gone(_)) {
                    let over = self.legs.swap_remove(at);
                    self.leaving.push(over.leg);
                }
                return Poll::Ready(Input::Leg(no, news));
            }
        }
        for leg in &self.legs {
            if let Poll::Ready((port, length, source)) = leg.leg.poll_receive(cx, buffer) {
                let packet = buffer.get(..length).unwrap_or_default();
                let news = match port {
                    RtpPort::Rtp => LegNews::Rtp { source, packet },
                    RtpPort::Rtcp => LegNews::Rtcp { source, packet },
                };
                return Poll::Ready(Input::Leg(leg.no, news));
            }
        }
        Poll::Pending
    }

    /// Hands commands to the SIP agent; ready when nobody who was let go waits to be told.
    pub fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for leg in &mut self.legs {
            let _ = leg.leg.poll_commands(cx);
        }
        self.leaving.retain_mut(|leg| leg.poll_commands(cx).is_pending());
        if self.leaving.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// When one of them has to be looked at whatever happens.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.legs.iter().filter_map(|leg| leg.leg.poll_timeout()).min()
    }

    fn let_go(&mut self, no: LegNo, why: Goodbye) {
        if let Some(at) = self.legs.iter().position(|leg| leg.no == no) {
            let mut leg = self.legs.swap_remove(at).leg;
            leg.hang_up(why);
            self.leaving.push(leg);
        }
    }

    fn send(&self, no: LegNo, port: RtpPort, packet: &[u8], to: SocketAddr) {
        if let Some(leg) = self.legs.iter().find(|leg| leg.no == no) {
            leg.leg.send(port, packet, to);
        }
    }
}

impl TransferLeg {
    /// What the leg's news are to the call.
    fn tell(&mut self, news: sip_leg::LegNews) -> Option<LegNews<'static>> {
        Some(match news {
            sip_leg::LegNews::Sent { leg_id } => {
                self.was_sent = true;
                LegNews::Dialled(leg_id)
            }
            sip_leg::LegNews::Trying => return None,
            sip_leg::LegNews::Ringing => LegNews::Ringing,
            sip_leg::LegNews::Early(media) | sip_leg::LegNews::Media(media) => {
                LegNews::Media(Box::new(media), self.identity)
            }
            sip_leg::LegNews::Answered(media) => {
                info!(media = %self.leg.describe(), "a transfer was answered");
                LegNews::Answered(Box::new(media), self.identity)
            }
            sip_leg::LegNews::Referral(ReferralNews::Asked { id, target }) => {
                let to = self.leg.may_refer(&self.reached, &target);
                self.leg.answer_refer(id, to.is_some());
                LegNews::Refers(to?)
            }
            // We ask nobody but callers.
            sip_leg::LegNews::Referral(_) => return None,
            sip_leg::LegNews::Digit(press) => LegNews::Digit(press),
            sip_leg::LegNews::Failed(refusal) => self.failed(refusal),
            sip_leg::LegNews::Unusable(reason) => LegNews::Gone(Cause::new(reason).row().q850),
            sip_leg::LegNews::Gone { reason, q850 } => {
                LegNews::Gone(q850.unwrap_or(Cause::new(reason).row().q850))
            }
        })
    }

    fn is_extension(&self) -> bool {
        matches!(self.reached, dial_routes::Destination::Extension(_))
    }

    fn failed(&self, refusal: DialRefusal) -> LegNews<'static> {
        let q850 = refusal.far_end.map_or(Cause::new(refusal.reason).row().q850, |far_end| far_end.q850);
        match refusal.reason {
            Reason::NoRoute if !self.was_sent && self.is_extension() => LegNews::Refused(LegRefusal::Unknown),
            Reason::NoRoute if !self.was_sent => LegNews::Refused(LegRefusal::NotAllowed),
            Reason::OverCapacity if !self.was_sent => LegNews::Refused(LegRefusal::TooMany),
            _ => LegNews::Failed(q850),
        }
    }
}
