//! What an engine hears that finds no turns by itself (`turn_detection` null): the caller's turns as our own ear finds
//! them, each with what came shortly before it. The silence between them stays here.

use std::collections::VecDeque;
use std::time::Duration;

/// The caller's turns.
#[derive(Debug, Default)]
pub struct OwnEar {
    caller: Caller,
    /// A turn was over before the session was ready.
    turn_waits: bool,
    /// The last of what came while the caller did not speak.
    lately: VecDeque<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Caller {
    #[default]
    Silent,
    Speaks,
}

impl OwnEar {
    /// Keeps the last `bytes_max` bytes of what came before a turn.
    pub fn keep(&mut self, audio: &[u8], bytes_max: usize) {
        self.lately.extend(audio);
        self.lately.drain(..self.lately.len().saturating_sub(bytes_max));
    }

    /// A turn begins; gives what came before it, unless one goes on.
    pub fn begin(&mut self) -> Option<Vec<u8>> {
        let goes_on = std::mem::replace(&mut self.caller, Caller::Speaks) == Caller::Speaks;
        (!goes_on).then(|| std::mem::take(&mut self.lately).into())
    }

    /// A turn is over; `false` if none had begun.
    pub fn end(&mut self) -> bool {
        std::mem::take(&mut self.caller) == Caller::Speaks
    }

    /// The turn that is over waits for the session.
    pub fn await_session(&mut self) {
        self.turn_waits = true;
    }

    /// Whether a turn has waited for the session.
    pub fn take_waiting(&mut self) -> bool {
        std::mem::take(&mut self.turn_waits)
    }

    /// Whether a turn goes on.
    pub fn hears_caller(&self) -> bool {
        self.caller == Caller::Speaks
    }
}

/// What belongs to a turn before its first sound: words begin softly.
pub const BEFORE_TURN: Duration = Duration::from_millis(300);
