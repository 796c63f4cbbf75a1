//! The bot of a call that has none yet: it says nothing, hears nothing, and gives way to the one that is found.

use std::fmt;
use std::time::Duration;

use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireAudio};
use crate::media::MediaFormat;
use crate::vocabulary::{CallCommand, CallEvent, Moment};

use super::{BotPlace, BotSettings, OnTransfer};

/// The bot that somebody was asked for, and what goes along.
pub struct FoundBot {
    /// The bot.
    pub bot: BotSettings,
    /// Names and values for the bot; they replace those of the same name.
    pub custom: Vec<(String, String)>,
}

impl BotSettings {
    /// A bot that is not known yet; records call it `name` as long as it is not.
    pub fn unknown(name: &str) -> Self {
        let audio = WireAudio { format: MediaFormat::PCMU_8K, frame: Duration::from_millis(20) };
        Self {
            name: name.into(),
            dialect: "",
            side: Box::new(Nobody),
            audio,
            place: BotPlace::Unknown,
            on_transfer: OnTransfer::default(),
            agent: None,
        }
    }
}

impl fmt::Debug for FoundBot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FoundBot").field("bot", &self.bot.name).finish_non_exhaustive()
    }
}

struct Nobody;

impl Dialect for Nobody {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        MediaFormat::PCMU_8K
    }

    fn encode(&mut self, _say: &CallEvent, _now: Moment, _out: &mut Out<CallCommand>) {}

    fn encode_audio(&mut self, _audio: &[u8], _now: Moment, _out: &mut Out<CallCommand>) {}

    fn decode(
        &mut self,
        _wire: Wire<'_>,
        _now: Moment,
        _out: &mut Out<CallCommand>,
    ) -> Result<(), Malformed> {
        Err(Malformed::NotJson)
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[]
    }
}
