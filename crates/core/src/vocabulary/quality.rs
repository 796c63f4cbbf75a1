//! How a call sounded, by its figures: the part of a record that says what was lost, late, delayed or never heard.

use std::time::Duration;

/// How a call sounded. What was not measured is left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Quality {
    /// Who heard whom; `None` for a call too short to tell.
    pub audio: Option<AudioVerdict>,
    /// The caller's audio on its way to us.
    pub from_phone: Option<FromPhone>,
    /// Our audio on its way to the phone, as the phone reports it.
    pub to_phone: Option<ToPhone>,
    /// The queue between bot and caller.
    pub playout: PlayoutFigures,
    /// How long the bot took to answer.
    pub response: ResponseTimes,
}

/// Who heard whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AudioVerdict {
    /// Both ways carried sound.
    Ok,
    /// Nothing came from the phone, and nothing of ours was to be heard there.
    NoMedia,
    /// Audio was expected of the phone and none came.
    CallerMissing,
    /// The phone's audio was digital silence from beginning to end.
    CallerSilent,
    /// The phone reports that nothing of ours arrives.
    CallerDeaf,
    /// What the caller was sent was digital silence from beginning to end.
    BotSilent,
}

/// Mean and maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Range {
    /// The mean.
    pub mean: Duration,
    /// The largest.
    pub max: Duration,
}

/// The caller's audio on its way to us.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct FromPhone {
    /// RTP packets; `None` where the phone is a vendor's WebSocket, which loses none.
    pub packets: Option<PacketFigures>,
    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub jitter: Option<Range>,
    /// The longest time in which nothing came.
    pub longest_gap: Duration,
    /// Audio that was invented for the bot where packets were lost.
    pub concealed: Duration,
    /// Silence that the phone announced instead of sending it (RFC 3389).
    pub comfort_silence: Duration,
    /// Mean opinion score by the E-model, 1.0 to 4.4.
    pub mos: Option<f64>,
}

/// RTP packets of the phone by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketFigures {
    /// That were to come.
    pub expected: u64,
    /// That came, doubles and late ones included.
    pub received: u64,
    /// Of the expected: that did not come in time.
    pub lost: u64,
    /// Of the lost: that came too late.
    pub late: u64,
    /// That came twice.
    pub duplicate: u64,
}

/// Our audio on its way to the phone, as the phone's RTCP reports it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ToPhone {
    /// Reports that came.
    pub reports: u64,
    /// Share of our packets that was lost, 0 to 1.
    pub loss: Option<f64>,
    /// Interarrival jitter at the phone.
    pub jitter: Option<Range>,
    /// Round trip between us and the phone.
    pub round_trip: Option<Range>,
    /// The last of them.
    pub last_round_trip: Option<Duration>,
    /// Share of our packets that came and was thrown away, 0 to 1 (RFC 3611 §4.7.1).
    pub discarded: Option<f64>,
    /// The phone's jitter buffer (RFC 3611 §4.7.7).
    pub jitter_buffer: Option<Duration>,
    /// The phone's own score of what it plays, 1.0 to 5.0 (RFC 3611 §4.7.5).
    pub listening_score: Option<f64>,
    /// Mean opinion score by the E-model, 1.0 to 4.4.
    pub mos: Option<f64>,
}

/// The queue between bot and caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlayoutFigures {
    /// Audio that waited, over the frames at which any did.
    pub depth: Option<Range>,
    /// Holes in the bot's speech: the queue ran dry and more came within [`UNDERRUN_MAX`].
    pub underruns: u64,
}

/// How long after the caller's last word the bot's first was to be heard.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseTimes {
    /// Answers that were measured.
    pub count: u64,
    /// The times of the last [`RESPONSES_KEPT`] answers, shortest first.
    pub kept: Vec<Duration>,
    /// The mean of all; zero if there are none.
    pub mean: Duration,
    /// The shortest and the longest of all.
    pub extremes: Option<(Duration, Duration)>,
    /// Times that the caller had to begin again, because no answer came.
    pub unanswered: u64,
}

impl AudioVerdict {
    /// Every verdict.
    pub const ALL: [Self; 6] =
        [Self::Ok, Self::NoMedia, Self::CallerMissing, Self::CallerSilent, Self::CallerDeaf, Self::BotSilent];

    /// The word in records and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NoMedia => "no_media",
            Self::CallerMissing => "caller_missing",
            Self::CallerSilent => "caller_silent",
            Self::CallerDeaf => "caller_deaf",
            Self::BotSilent => "bot_silent",
        }
    }
}

impl PacketFigures {
    /// Share of the expected packets that did not come in time, 0 to 1.
    pub fn loss(&self) -> f64 {
        if self.expected == 0 { 0.0 } else { self.lost as f64 / self.expected as f64 }
    }
}

impl ResponseTimes {
    /// The time that `share` (0 to 1) of the kept answers took at most; `None` if there are none.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let rank = (share * self.kept.len() as f64).ceil() as usize;
        self.kept.get(rank.clamp(1, self.kept.len().max(1)) - 1).copied()
    }
}

/// A hole in the bot's speech that is longer than this is a pause of the bot's.
pub const UNDERRUN_MAX: Duration = Duration::from_millis(300);

/// Answers whose times are kept; the newest take the places of the oldest.
pub const RESPONSES_KEPT: usize = 128;
