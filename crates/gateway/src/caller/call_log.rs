//! What happened in one call, as its caller saw it: events with their times, and the figures at the end.

use std::time::Duration;

use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::{Digit, Moment};

use super::reception::ReceptionTally;

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// The other end rings, or says in another way (180–199) that it works on it.
    Ringing {
        /// The provisional status.
        status: u16,
    },
    /// The other end answered; audio flows in this format.
    Answered {
        /// What was agreed on.
        format: MediaFormat,
        /// Whether keys can go as telephone events.
        events: bool,
    },
    /// The first packet of audio arrived.
    FirstAudio,
    /// The caller began to speak.
    CallerSpeaks,
    /// The caller stopped.
    CallerStops,
    /// The bot began to speak, and that long after the caller had stopped, if it was an answer.
    BotSpeaks {
        /// The turn time.
        turn: Option<Duration>,
    },
    /// The bot stopped.
    BotStops,
    /// The caller pressed a key.
    KeyPressed(Digit),
    /// The other end pressed a key.
    KeyHeard {
        /// Which.
        digit: Digit,
        /// As an event, or as a tone in the audio.
        in_band: bool,
    },
    /// A steady tone is heard.
    ToneHeard {
        /// Its frequency.
        hertz: u32,
    },
    /// The other end put the call on hold or took it back.
    Held {
        /// On hold.
        held: bool,
    },
    /// The call is over.
    Ended(Ending),
}

/// How a call came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The caller hung up, after the time that it was told.
    CallerHungUp,
    /// The other end hung up.
    OtherHungUp,
    /// The other end refused, or did not answer.
    Refused {
        /// The SIP status; 408 also for no answer at all.
        status: u16,
        /// Its Q.850 cause, if it told one.
        q850: Option<u8>,
    },
    /// The other end answered with a session that cannot be used.
    BadAnswer,
    /// The other end vanished: no acknowledgement, or a command without an answer.
    Vanished,
}

impl Ending {
    /// Whether the call took place and ended as calls do.
    pub fn is_good(self) -> bool {
        matches!(self, Self::CallerHungUp | Self::OtherHungUp)
    }
}

/// A happening and its time, from the moment the call was placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logged {
    /// Since the INVITE.
    pub at: Duration,
    /// What.
    pub what: Happening,
}

/// The log of a call, and who is told while it grows.
pub struct CallLog<'a> {
    start: Moment,
    entries: Vec<Logged>,
    left_out: u64,
    watch: &'a mut dyn FnMut(&Logged),
}

impl<'a> CallLog<'a> {
    /// A log that begins now; `watch` hears each entry at once.
    pub fn new(start: Moment, watch: &'a mut dyn FnMut(&Logged)) -> Self {
        Self { start, entries: Vec::new(), left_out: 0, watch }
    }

    /// Notes what happened at a moment, or was noticed to have.
    pub fn note(&mut self, at: Moment, what: Happening) {
        let logged = Logged { at: at - self.start, what };
        (self.watch)(&logged);
        if self.entries.len() < ENTRIES_MAX {
            self.entries.push(logged);
        } else {
            self.left_out += 1;
        }
    }

    /// The entries in the order of their times, and how many there was no room for.
    pub fn into_entries(mut self) -> (Vec<Logged>, u64) {
        self.entries.sort_by_key(|entry| entry.at);
        (self.entries, self.left_out)
    }
}

/// Everything about a call that is over.
#[derive(Debug, Clone)]
pub struct CallReport {
    /// What happened, in order.
    pub entries: Vec<Logged>,
    /// Entries that there was no room for.
    pub entries_left_out: u64,
    /// How it ended.
    pub ending: Ending,
    /// From the INVITE to the answer.
    pub set_up: Option<Duration>,
    /// From the answer to the first packet of audio.
    pub first_audio: Option<Duration>,
    /// From the answer to the end.
    pub talk: Duration,
    /// The waits of the caller for the bot, in order.
    pub turns: Vec<Duration>,
    /// Packets that the caller sent.
    pub packets_sent: u64,
    /// Frames that the caller could not send in time.
    pub frames_skipped: u64,
    /// The stream that it heard.
    pub reception: ReceptionTally,
    /// Audio that it heard, and how much of it was silence.
    pub heard: Duration,
    /// See above.
    pub heard_silent: Duration,
}

/// Entries that are kept: an hour of lively talk.
pub const ENTRIES_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_in_order_of_time_and_bounded_while_the_watch_hears_everything() {
        let mut seen = 0u64;
        let mut watch = |_: &Logged| seen += 1;
        let mut log = CallLog::new(Moment::from_millis(10), &mut watch);
        log.note(Moment::from_millis(30), Happening::BotStops);
        for _ in 0..ENTRIES_MAX + 4 {
            log.note(Moment::from_millis(20), Happening::CallerStops);
        }
        let (entries, left_out) = log.into_entries();
        assert_eq!((entries.len(), left_out, seen), (ENTRIES_MAX, 5, ENTRIES_MAX as u64 + 5));
        let last = Logged { at: Duration::from_millis(20), what: Happening::BotStops };
        assert_eq!(entries.last(), Some(&last));
    }
}
