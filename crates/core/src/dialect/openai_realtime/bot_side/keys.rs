//! Keys of the caller on their way to an engine: told together when the caller pauses or presses `#`.

use std::time::Duration;

use crate::media::Digit;
use crate::vocabulary::Moment;

/// Keys that were pressed and not told.
#[derive(Debug, Default)]
pub struct Keys {
    pressed: String,
    due: Option<Moment>,
}

impl Keys {
    /// Takes a key; gives all that wait if it is the last one.
    pub fn press(&mut self, key: Digit, now: Moment) -> Option<String> {
        self.pressed.push(key.as_char());
        self.due = Some(now + PAUSE);
        let complete = key.as_char() == '#' || self.pressed.len() >= KEYS_WAITING_MAX;
        complete.then(|| self.take()).flatten()
    }

    /// What waits, if the caller has paused.
    pub fn take_due(&mut self, now: Moment) -> Option<String> {
        if self.due.is_some_and(|due| due <= now) { self.take() } else { None }
    }

    /// When the caller will have paused.
    pub fn poll_timeout(&self) -> Option<Moment> {
        self.due
    }

    fn take(&mut self) -> Option<String> {
        self.due = None;
        Some(std::mem::take(&mut self.pressed)).filter(|keys| !keys.is_empty())
    }
}

/// Keys that wait to be told together.
pub const KEYS_WAITING_MAX: usize = 64;

/// How long the caller may take for the next key.
const PAUSE: Duration = Duration::from_secs(1);
