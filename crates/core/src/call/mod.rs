//! The call: one machine that owns a phone leg and a bot leg from the first ring to the record.
//!
//! It decides, the shell acts: [`Call::handle`] takes what happened, [`Call::poll_output`] says what to do
//! (drain it completely after every call), [`Call::poll_timeout`] names the next deadline, at which
//! [`Call::handle_timeout`] is due. See `docs/call-states.md` for the states and `ARCHITECTURE.md` for the rule.

mod input;
mod output;
mod settings;

pub use input::{Input, SocketEnd};
pub use output::Output;
pub use settings::{
    BotPlace, BotSettings, CallSettings, Deadlines, Fallback, MediaDirection, PhoneMedia, PhoneSettings, RtpIdentity,
};
