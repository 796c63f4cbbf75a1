//! The bot leg: the bot side of a dialect, whether a socket carries it, and what the bot asked for.

use std::sync::Arc;

use crate::agent::AgentTerms;
use crate::dialect::{BotSide, Capability, Out, WireAudio};
use crate::vocabulary::{CallCommand, HangUpWhen, Moment};

use super::{BotPlace, BotSettings, OnTransfer};

/// One bot on one call.
pub(super) struct BotLeg {
    pub(super) name: Box<str>,
    pub(super) dialect: &'static str,
    pub(super) side: Box<BotSide>,
    pub(super) audio: WireAudio,
    pub(super) place: BotPlace,
    pub(super) on_transfer: OnTransfer,
    /// What it may do, if it is an agent of ours.
    pub(super) agent: Option<Arc<AgentTerms>>,
    pub(super) link: BotLink,
    /// It has hung up while somebody else was on the way to take the call.
    pub(super) hung_up: Option<HangUpWhen>,
    /// Reading is suspended because enough audio waits.
    pub(super) paused: bool,
    /// Reused for every message.
    pub(super) out: Out<CallCommand>,
    pub(super) flood: FloodGauge,
}

/// How far the connection to the bot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BotLink {
    /// Not dialled.
    Closed,
    /// Being dialled.
    Dialling,
    /// Messages can be exchanged.
    Open,
    /// The bot or its socket is gone.
    Gone,
}

impl BotLeg {
    pub(super) fn new(settings: BotSettings) -> Self {
        let BotSettings { name, dialect, side, audio, place, on_transfer, agent } = settings;
        let (link, paused, out) = (BotLink::Closed, false, Out::new());
        Self {
            name,
            dialect,
            side,
            audio,
            place,
            on_transfer,
            agent,
            link,
            hung_up: None,
            paused,
            out,
            flood: FloodGauge::default(),
        }
    }

    /// When its dialect wants to be woken; one that nobody is connected to has nothing to say.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        self.side.poll_timeout().filter(|_| self.link == BotLink::Open)
    }

    pub(super) fn can(&self, capability: Capability) -> bool {
        self.side.capabilities().contains(&capability)
    }
}

/// Tells a bot that floods from one that is merely fast: control messages per second, and audio that nobody can hear.
#[derive(Debug, Default)]
pub(super) struct FloodGauge {
    second: Moment,
    controls: u32,
    refused_ms: u64,
}

impl FloodGauge {
    /// One message without audio came; says whether it is one too many.
    pub(super) fn control(&mut self, now: Moment) -> bool {
        if (now - self.second).as_secs() >= 1 {
            self.second = now;
            self.controls = 0;
        }
        self.controls += 1;
        self.controls > BOT_CONTROLS_PER_SECOND_MAX
    }

    /// Audio found the playout full; says whether the bot means it.
    pub(super) fn refused(&mut self, refused_ms: u64) -> bool {
        self.refused_ms += refused_ms;
        self.refused_ms > BOT_REFUSED_AUDIO_MS_MAX
    }
}

/// Messages without audio that a bot may send in one second.
pub const BOT_CONTROLS_PER_SECOND_MAX: u32 = 1_000;

/// Audio beyond a full playout that a bot may send, in milliseconds.
pub const BOT_REFUSED_AUDIO_MS_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_controls_in_a_second_are_allowed_and_one_more_is_a_flood() {
        let mut flood = FloodGauge::default();
        let now = Moment::from_millis(10_000);
        assert!((0..BOT_CONTROLS_PER_SECOND_MAX).all(|_| !flood.control(now)));
        assert!(flood.control(now));
        assert!(!flood.control(Moment::from_millis(11_000)));
    }

    #[test]
    fn ten_seconds_beyond_a_full_playout_are_a_flood() {
        let mut flood = FloodGauge::default();
        assert!(!flood.refused(BOT_REFUSED_AUDIO_MS_MAX));
        assert!(flood.refused(20));
    }
}
