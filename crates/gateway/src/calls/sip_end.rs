//! A phone that called us by SIP, as its call sees it: the leg with our description, and its RTP ports.

use std::fmt;
use std::task::{Context, Poll};

use patchcord_core::call::{Input, PhoneMedia};
use patchcord_core::vocabulary::Cause;
use patchcord_sip::{CallLeg, LegEvents};

use super::referral::{Asked, Referrals};
use super::session::Session;
use super::sip_leg::{LegNews, ReferralNews, SipLeg, rejection};
use crate::net::RtpSocket;

/// A phone that called us.
pub struct SipEnd {
    leg: SipLeg,
    /// The answer, or our offer, that goes with the 200.
    description: String,
    /// Its RTP ports.
    pub rtp: RtpSocket,
    /// Transfers that its carrier carries out.
    pub referrals: Referrals,
}

impl SipEnd {
    /// A leg whose 200 will carry `description`; `media` is what it agrees on, if that is known already.
    pub fn new(
        leg: (CallLeg, LegEvents),
        rtp: RtpSocket,
        session: Session,
        description: String,
        media: Option<PhoneMedia>,
    ) -> Self {
        let referrals = Referrals::default();
        Self { leg: SipLeg::new(leg, session, media), description, rtp, referrals }
    }

    /// Its carrier may be asked to carry out transfers.
    #[must_use]
    pub fn with(self, referrals: Referrals) -> Self {
        Self { referrals, ..self }
    }

    /// Asks its carrier to connect it with somebody else.
    pub fn refer(&mut self, target: String, asked: Asked) {
        self.referrals.ask(asked);
        self.leg.refer(target);
    }

    /// Sends 180.
    pub fn ring(&mut self) {
        self.leg.ring();
    }

    /// Sends 183 with the session's description.
    pub fn progress(&mut self) {
        self.leg.progress(self.description.clone());
    }

    /// Sends 200 with the session's description.
    pub fn answer(&mut self) {
        let description = std::mem::take(&mut self.description);
        self.leg.answer(description);
    }

    /// Refuses the unanswered call.
    pub fn reject(&mut self, status: u16, cause: Cause) {
        self.leg.reject(rejection(status, cause));
    }

    /// Sends BYE.
    pub fn hang_up(&mut self, cause: Cause) {
        self.leg.hang_up(cause);
    }

    /// Hands waiting commands to the agent; ready when none is left.
    pub fn poll_commands(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.leg.poll_commands(cx)
    }

    /// The next thing that the phone did by SIP.
    pub fn poll_leg(&mut self, cx: &mut Context<'_>) -> Poll<Input<'static>> {
        loop {
            let Poll::Ready(news) = self.leg.poll(cx) else { return Poll::Pending };
            return Poll::Ready(match news {
                LegNews::Media(media) => Input::PhoneMedia(media),
                LegNews::Digit(press) => Input::PhoneDigit(press),
                LegNews::Referral(ReferralNews::Asked { id, .. }) => {
                    // A caller has nobody here whom it could give away.
                    self.leg.answer_refer(id, false);
                    continue;
                }
                LegNews::Referral(news) => match self.referrals.hear(&news) {
                    Some(input) => input,
                    None => continue,
                },
                LegNews::Gone { reason, .. } => Input::PhoneGone(reason),
                // The phone is still there and has to be told.
                LegNews::Unusable(reason) => Input::HangUp(reason),
                // Nothing that a phone does which called us.
                LegNews::Sent { .. }
                | LegNews::Trying
                | LegNews::Ringing
                | LegNews::Early(_)
                | LegNews::Answered(_)
                | LegNews::Failed(_) => continue,
            });
        }
    }

    /// The media path, for the log.
    pub fn describe(&self) -> String {
        self.leg.describe()
    }
}

impl fmt::Debug for SipEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SipEnd").field("leg", &self.leg).field("rtp", &self.rtp).finish_non_exhaustive()
    }
}
