//! The built-in bots: bot sides without a wire. What the phone says is answered on the spot, in this process.
//!
//! They never ask to be answered first: a call to them is answered at once.

mod dtmf;
mod echo;
mod ivr;
mod parrot;
mod tone;

use std::time::Duration;

use patchcord_core::dialect::{BotSide, WireAudio};
use patchcord_core::media::MediaFormat;

use crate::config::{BuiltInBot, IvrMenu};

/// What stands in the place of a dialect's name where a bot has none.
pub const BUILT_IN: &str = "built-in";

/// Makes a built-in bot for a call whose phone speaks `format`; `menu` tells where keys of `ivr` lead.
pub fn built_in(bot: BuiltInBot, format: MediaFormat, menu: &IvrMenu) -> Box<BotSide> {
    match bot {
        BuiltInBot::Echo => Box::new(echo::Echo::new(format)),
        BuiltInBot::Parrot => Box::new(parrot::Parrot::new(format)),
        BuiltInBot::Dtmf => Box::new(dtmf::Dtmf::new(format)),
        BuiltInBot::Tone => Box::new(tone::Tone::new(format)),
        BuiltInBot::Ivr => Box::new(ivr::Ivr::new(format, menu.clone())),
    }
}

/// The audio that a built-in bot takes when the phone speaks `format`: the same, so that nothing is converted.
pub fn audio(format: MediaFormat) -> WireAudio {
    WireAudio { format, frame: Duration::from_millis(20) }
}
