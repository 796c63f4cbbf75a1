//! A phone that we call, as its call sees it: whom to dial, then the leg that is dialled.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use patchcord_core::call::Input;
use patchcord_core::vocabulary::{Cause, Moment};

use super::dial_routes::DialWish;
use super::dialled_leg::DialledLeg;
use super::exchange::Exchange;
use super::sip_leg::{LegNews, ReferralNews};
use super::toll_guard::TollPasses;
use crate::net::RtpPort;

/// A phone that we call.
#[derive(Debug)]
pub struct DialledEnd {
    wish: DialWish,
    passes: TollPasses,
    leg: Option<DialledLeg>,
}

impl DialledEnd {
    /// A phone that is dialled when the call says so, with the leave that was taken for it.
    pub fn new(wish: DialWish, passes: TollPasses) -> Self {
        Self { wish, passes, leg: None }
    }

    /// Dials; it may ring until then.
    pub fn dial(&mut self, exchange: &Arc<Exchange>, until: Moment) {
        self.leg = Some(DialledLeg::dial(exchange, &self.wish, mem::take(&mut self.passes), until));
    }

    /// Ends the call, answered or not.
    pub fn hang_up(&mut self, cause: Cause) {
        if let Some(leg) = &mut self.leg {
            leg.hang_up(cause.into());
        }
    }

    /// Hands waiting commands to the agent; ready when none is left.
    pub fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.leg.as_mut().map_or(Poll::Ready(()), |leg| leg.poll_commands(cx))
    }

    /// The next thing that the phone did by SIP.
    pub fn poll_leg(&mut self, cx: &mut Context<'_>, now: Moment) -> Poll<Input<'static>> {
        let Some(leg) = &mut self.leg else { return Poll::Pending };
        loop {
            let Poll::Ready(news) = leg.poll(cx, now) else { return Poll::Pending };
            return Poll::Ready(match news {
                LegNews::Sent { leg_id } => Input::PhoneLegId(leg_id),
                LegNews::Trying => continue,
                LegNews::Ringing => Input::PhoneRinging,
                LegNews::Early(media) => Input::PhoneProgress(media),
                LegNews::Answered(media) => Input::PhoneAnswered(media),
                LegNews::Media(media) => Input::PhoneMedia(media),
                LegNews::Referral(ReferralNews::Asked { id, .. }) => {
                    // Whom we called has nobody here whom it could give away.
                    leg.answer_refer(id, false);
                    continue;
                }
                LegNews::Referral(_) => continue,
                LegNews::Digit(press) => Input::PhoneDigit(press),
                LegNews::Unusable(reason) => Input::HangUp(reason),
                LegNews::Failed(refusal) => Input::PhoneFailed(refusal),
                LegNews::Gone { reason, .. } => Input::PhoneGone(reason),
            });
        }
    }

    /// Receives one datagram of its RTP ports.
    pub fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<(RtpPort, usize, SocketAddr)> {
        self.leg.as_ref().map_or(Poll::Pending, |leg| leg.poll_receive(cx, buffer))
    }

    /// Sends a datagram from its RTP ports.
    pub fn send(&self, port: RtpPort, packet: &[u8], to: SocketAddr) {
        if let Some(leg) = &self.leg {
            leg.send(port, packet, to);
        }
    }

    /// When [`DialledEnd::poll_leg`] is due whatever happens.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.leg.as_ref()?.poll_timeout()
    }

    /// The media path, for the log.
    pub fn describe(&self) -> String {
        self.leg.as_ref().map_or_else(|| "rtp".to_owned(), DialledLeg::describe)
    }
}
