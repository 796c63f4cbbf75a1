//! The course of a scripted call: when digits are typed, when the echo is judged, when it ends.

use super::is_long;

/// Who hangs up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The caller.
    Caller,
    /// The bot.
    Bot,
}

impl End {
    /// The cause that the record must tell.
    pub fn cause(self) -> &'static str {
        match self {
            Self::Caller => "completed/caller_hung_up",
            Self::Bot => "completed/bot_hung_up",
        }
    }

    /// In a word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Bot => "bot",
        }
    }
}

/// The times of a call, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// How long it lasts.
    pub seconds: f64,
    /// When 512 is typed: until then the bot is an echo.
    pub digits_at: f64,
    /// When the bot's script is over and it is an echo again.
    pub echo_again: f64,
}

impl Course {
    /// 20 s, of which ten are judged in one piece, or the 30 s of the acceptance.
    pub fn new() -> Self {
        let seconds = if is_long() { 30.0 } else { 20.0 };
        let digits_at = if is_long() { 20.0 } else { 10.5 };
        Self { seconds, digits_at, echo_again: digits_at + 5.0 }
    }

    /// `512@…`, as the peers take it.
    pub fn digits(self) -> String {
        format!("512@{}s", self.digits_at)
    }

    /// The bot's behaviour: its script, and the hang-up if that is its part.
    pub fn behaviour(self, end: End) -> String {
        match end {
            End::Caller => "script".to_owned(),
            End::Bot => format!("script,hangup-after={}", self.seconds),
        }
    }

    /// How long the caller stays: a little longer than the bot that hangs up.
    pub fn caller_seconds(self, end: End) -> f64 {
        match end {
            End::Caller => self.seconds,
            End::Bot => self.seconds + 8.0,
        }
    }
}
