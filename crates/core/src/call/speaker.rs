//! Towards the phone: the bot's audio in the phone's format, paced, with digits in between.

use std::time::Duration;

use crate::media::{Converter, MarkOutcome as Outcome, MediaFormat, Playout, Pulled, Pushed, SilenceGate};
use crate::rtp::EventFrame;
use crate::vocabulary::{
    CallEvent, CommandRefusal, Counters, DialDigits, MarkOutcome, Moment, PlayoutFigures,
};

use super::dialing::{DialFrame, Dialing};
use super::ending::CLIP_FORMAT;
use super::pace::{Cadence, Pace, SourceSpeed};
use super::playout_gauge::PlayoutGauge;
use super::source_gauge::SourceGauge;
use super::voice::VoiceEdge;

/// What one phone hears.
pub(super) struct Speaker {
    bot: MediaFormat,
    leg: MediaFormat,
    frame: Duration,
    converter: Option<Converter>,
    converted: Vec<u8>,
    /// The end of what was pushed is still in the converter's filter.
    holds_tail: bool,
    /// When the tail of a real-time source follows, if nothing else does.
    tail_due: Option<Moment>,
    playout: Playout,
    /// What the bot's audio belongs to from here on, where it says so.
    item: Option<Box<str>>,
    /// What the playout had told of items at the last look.
    item_steps: u64,
    /// Of the item that was being played in the phone's format before this one: what was heard of it.
    carried: Option<(Box<str>, Duration)>,
    pace: Pace,
    dialing: Dialing,
    source: SourceGauge,
    /// The frame that leaves.
    sound: Vec<u8>,
    drained_since: Option<Moment>,
    /// What waits is a sound that stands for work, not speech.
    is_backdrop: bool,
    /// What was counted in formats that the phone had earlier.
    earlier: Counters,
    gauge: PlayoutGauge,
}

/// What leaves at one step of the grid.
#[derive(Debug)]
pub(super) enum Sound<'a> {
    /// A frame of audio in the leg's format; silence when nothing waits.
    Audio(&'a [u8]),
    /// A part of an RFC 4733 event instead of audio.
    Event(EventFrame),
    /// Nothing: an on-demand leg is quiet.
    Nothing,
}

impl Speaker {
    pub(super) fn new(cadence: Cadence, bot: MediaFormat, leg: MediaFormat, frame: Duration) -> Self {
        Self {
            bot,
            leg,
            frame,
            converter: Converter::new(bot, leg).ok(),
            converted: Vec::new(),
            holds_tail: false,
            tail_due: None,
            playout: Playout::new(leg, PLAYOUT_MAX),
            item: None,
            item_steps: 0,
            carried: None,
            pace: Pace::new(cadence, frame),
            dialing: Dialing::new(leg),
            source: SourceGauge::default(),
            sound: vec![0; leg.bytes_in(frame)],
            drained_since: None,
            is_backdrop: false,
            earlier: Counters::default(),
            gauge: PlayoutGauge::new(leg),
        }
    }

    /// The phone's format or frame changed; what waits goes along in the new format.
    pub(super) fn set_leg(&mut self, leg: MediaFormat, frame: Duration) {
        if leg != self.leg {
            let waiting_half = self.playout.take_half_sample();
            let half = self.converter.as_mut().and_then(Converter::take_half_sample).or(waiting_half);
            self.finish_converter();
            self.move_playout(leg);
            self.leg = leg;
            self.converter = Converter::new(self.bot, leg).ok();
            // The other half of a sample may be on its way: without the first all that follows would be noise.
            self.convert(half.as_slice());
            self.dialing.set_leg(leg);
            self.gauge.set_leg(leg);
        }
        self.frame = frame;
        self.pace.set_frame(frame);
        self.sound.resize(leg.bytes_in(frame), 0);
    }

    /// What another bot says comes from now on, in that format.
    pub(super) fn set_bot(&mut self, bot: MediaFormat) {
        (self.bot, self.item) = (bot, None);
        self.converter = Converter::new(bot, self.leg).ok();
        self.forget_tail();
        self.source = SourceGauge::default();
    }

    /// Whether digits leave as RFC 4733 events rather than as tones.
    pub(super) fn send_events(&mut self, events: bool) {
        self.dialing.send_events(events);
    }

    pub(super) fn start(&mut self, now: Moment) {
        self.pace.start(now, self.playout.depth());
    }

    pub(super) fn has_started(&self) -> bool {
        self.pace.has_started()
    }

    /// The phone's first audio came.
    pub(super) fn align(&mut self, now: Moment) {
        self.pace.align(now);
    }

    /// Takes audio of the bot; gives the milliseconds for which there was no room.
    pub(super) fn push(&mut self, audio: &[u8], now: Moment) -> u64 {
        self.arrived(self.bot.duration_of(audio.len()), now);
        let pushed = self.convert(audio);
        if self.converted.capacity() > CONVERTED_BYTES_KEPT_MAX {
            self.converted = Vec::new();
        }
        millis(self.leg.duration_of(pushed.refused_bytes))
    }

    /// Takes what another phone says, in this phone's format.
    pub(super) fn push_voice(&mut self, audio: &[u8], now: Moment) {
        self.arrived(self.leg.duration_of(audio.len()), now);
        self.playout.push(audio, None);
    }

    /// Takes a clip of our own, linear 16-bit at 8 kHz.
    pub(super) fn push_clip(&mut self, samples: &[i16], now: Moment) {
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        // However the bot spoke: the pauses of a clip are its own.
        self.source = SourceGauge::default();
        self.let_tail_out();
        if let Ok(mut converter) = Converter::new(CLIP_FORMAT, self.leg) {
            let mut clip = Vec::new();
            converter.convert(&bytes, &mut clip);
            converter.finish(&mut clip);
            self.pace.arrived(now, self.playout.depth(), SourceSpeed::Bursts);
            self.drained_since = None;
            self.is_backdrop = false;
            self.playout.push(&clip, None);
            self.playout.end_of_utterance();
        }
    }

    /// Takes a clip like [`Speaker::push_clip`] that is heard while somebody waits, and is nobody's answer.
    pub(super) fn push_backdrop(&mut self, samples: &[i16], now: Moment) {
        self.push_clip(samples, now);
        self.is_backdrop = true;
    }

    /// Takes a tone of our own, in the phone's format.
    pub(super) fn push_tone(&mut self, tone: &[u8], now: Moment) {
        self.let_tail_out();
        self.pace.arrived(now, self.playout.depth(), SourceSpeed::Bursts);
        self.drained_since = None;
        self.is_backdrop = false;
        self.playout.push(tone, None);
    }

    /// What the bot says from here on belongs to that item.
    pub(super) fn set_item(&mut self, item: &str) {
        if self.item.as_deref() != Some(item) {
            self.item = Some(item.into());
        }
    }

    /// Whether an item began to be played, or nothing more of one waits, since this was asked last.
    pub(super) fn items_moved(&mut self) -> bool {
        let steps = self.playout.item_steps();
        std::mem::replace(&mut self.item_steps, steps) != steps
    }

    /// How much of an item was played, and how much of it came; `None` if none came or it is long over.
    pub(super) fn heard(&self, item: &str) -> Option<(Duration, Duration)> {
        let heard = self.playout.heard_position(item)?;
        let before = self.carried.as_ref().filter(|(carried, _)| **carried == *item);
        let before = before.map_or(Duration::ZERO, |(_, heard)| *heard);
        let length = |samples| before + self.leg.duration_of_samples(samples);
        Some((length(heard.samples), length(heard.pushed)))
    }

    /// The items of which something waits, in order.
    pub(super) fn unheard_items(&self) -> Vec<Box<str>> {
        self.playout.unheard_items()
    }

    /// Marks the end of what was pushed so far.
    ///
    /// # Errors
    /// Refuses a mark for which there is no room.
    pub(super) fn mark(&mut self, name: &str) -> Result<(), CommandRefusal> {
        self.playout.mark(name).map_err(|full| CommandRefusal {
            code: "too_many_marks",
            message: full.to_string(),
            command: "mark".into(),
        })
    }

    /// Marks that were set and not yet reported.
    pub(super) fn marks_waiting(&self) -> usize {
        self.playout.marks_waiting()
    }

    /// Nobody waits for the marks any longer: they are reported as cleared.
    pub(super) fn abandon_marks(&mut self) {
        self.playout.abandon_marks();
    }

    /// Drops what waits, also inside the converter.
    pub(super) fn clear(&mut self) {
        self.playout.clear();
        self.gauge.cleared();
        if let Some(converter) = &mut self.converter {
            converter.reset();
        }
        self.forget_tail();
    }

    /// The bot has said its last word: also what the converter holds is played.
    pub(super) fn end_of_utterance(&mut self, now: Moment) {
        self.finish_converter();
        self.playout.end_of_utterance();
        if self.playout.is_empty() {
            self.drained_since.get_or_insert(now);
        } else {
            self.drained_since = None;
            self.pace.wake(now);
        }
    }

    /// Queues digits to send.
    ///
    /// # Errors
    /// Refuses what cannot wait beside the digits of earlier commands.
    pub(super) fn dial(&mut self, digits: &DialDigits, now: Moment) -> Result<(), CommandRefusal> {
        self.dialing.dial(digits)?;
        self.pace.wake(now);
        Ok(())
    }

    pub(super) fn poll_mark(&mut self) -> Option<CallEvent> {
        let done = self.playout.poll_mark()?;
        let outcome = match done.outcome {
            Outcome::Played => MarkOutcome::Played,
            Outcome::Cleared => MarkOutcome::Cleared,
        };
        Some(CallEvent::Mark { name: done.name.into(), outcome })
    }

    /// The frame that is due at `now`, if one is.
    pub(super) fn take_sound(&mut self, now: Moment) -> Option<Sound<'_>> {
        if self.tail_due.is_some_and(|due| due <= now) {
            self.let_tail_out();
            self.playout.end_of_utterance();
            self.pace.wake(now);
        }
        if !self.pace.take_due(now) {
            return None;
        }
        if let Some(frame) = self.dialing.next_frame(self.frame, &mut self.sound) {
            return Some(match frame {
                DialFrame::Tone => Sound::Audio(&self.sound),
                DialFrame::Event(event) => Sound::Event(event),
            });
        }
        self.win_time_back(now);
        self.follow_with_tail(now);
        let waiting = self.playout.waiting();
        let pulled = self.playout.pull(&mut self.sound);
        let speech = if self.is_backdrop { Pulled { audio_bytes: 0, padded: 0 } } else { pulled };
        self.gauge.pulled(&self.sound, speech, waiting, now);
        if pulled.audio_bytes > 0 && pulled.padded > 0 {
            self.pace.fell_short(now);
        }
        if pulled.audio_bytes == 0 {
            if self.playout.is_empty() {
                self.drained_since.get_or_insert(now);
                self.pace.ran_dry(now);
            }
            if self.pace.is_on_demand() {
                return Some(Sound::Nothing);
            }
        }
        Some(Sound::Audio(&self.sound))
    }

    /// Since when nothing waits, neither audio nor digits.
    pub(super) fn drained_since(&self) -> Option<Moment> {
        self.drained_since.filter(|_| self.dialing.is_idle())
    }

    pub(super) fn leg(&self) -> MediaFormat {
        self.leg
    }

    /// The length of what leaves at once.
    pub(super) fn frame(&self) -> Duration {
        self.frame
    }

    /// Audio that waits.
    pub(super) fn depth(&self) -> Duration {
        self.playout.depth()
    }

    /// How long all that waits will sound, digits included.
    pub(super) fn remaining(&self) -> Duration {
        self.playout.depth() + self.dialing.remaining()
    }

    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        [self.pace.poll_timeout(), self.tail_due].into_iter().flatten().min()
    }

    /// The last edge up to `now` of what the caller hears that was not taken yet, also where nothing leaves.
    pub(super) fn take_voice_edge_at(&mut self, now: Moment) -> Option<VoiceEdge> {
        if self.pace.is_on_demand() {
            self.gauge.quiet(now);
        }
        self.take_voice_edge()
    }

    /// The last edge of what the caller hears that was not taken yet.
    pub(super) fn take_voice_edge(&mut self) -> Option<VoiceEdge> {
        self.gauge.voice.take_edge()
    }

    /// Whether the caller was sent anything but digital silence.
    pub(super) fn was_audible(&self) -> bool {
        self.gauge.voice.was_audible()
    }

    pub(super) fn figures(&self) -> PlayoutFigures {
        self.gauge.figures()
    }

    pub(super) fn count(&self, counters: &mut Counters) {
        let counts = self.playout.counts();
        let to_ms = |bytes: u64| millis(self.leg.duration_of(usize::try_from(bytes).unwrap_or(usize::MAX)));
        counters.pushed_ms += self.earlier.pushed_ms + to_ms(counts.pushed);
        counters.played_ms += self.earlier.played_ms + to_ms(counts.played);
        counters.cleared_ms += self.earlier.cleared_ms + to_ms(counts.cleared);
        counters.trimmed_ms += self.earlier.trimmed_ms + to_ms(counts.trimmed);
        counters.refused_ms += self.earlier.refused_ms + to_ms(counts.refused);
    }

    fn arrived(&mut self, audio: Duration, now: Moment) {
        self.pace.arrived(now, self.playout.depth(), self.source.speed(now));
        self.source.pushed(audio);
        (self.drained_since, self.tail_due, self.is_backdrop) = (None, None, false);
    }

    /// Puts audio of the bot into the playout, in the phone's format.
    fn convert(&mut self, audio: &[u8]) -> Pushed {
        match &mut self.converter {
            Some(converter) if !converter.is_untouched() => {
                self.converted.clear();
                converter.convert(audio, &mut self.converted);
                self.holds_tail |= !audio.is_empty() && converter.delay_samples() > 0;
                self.playout.push(&self.converted, self.item.as_deref())
            }
            _ => self.playout.push(audio, self.item.as_deref()),
        }
    }

    /// Puts what the converter still holds into the playout; the stream is over.
    fn finish_converter(&mut self) {
        if let Some(converter) = &mut self.converter {
            converter.take_half_sample();
        }
        self.let_tail_out();
    }

    /// Puts the end of what was pushed into the playout. It is the filter's delay, and adds nothing to an item's length.
    fn let_tail_out(&mut self) {
        if let Some(converter) = self.converter.as_mut().filter(|_| self.holds_tail) {
            // The stream may go on: without the first half of a sample all that follows would be noise.
            let half = converter.take_half_sample();
            self.converted.clear();
            converter.finish(&mut self.converted);
            converter.convert(half.as_slice(), &mut self.converted);
            self.playout.push(&self.converted, None);
        }
        self.forget_tail();
    }

    fn forget_tail(&mut self) {
        (self.holds_tail, self.tail_due) = (false, None);
    }

    /// Less waits than is about to leave: the end of it follows at once, not whenever the bot speaks again.
    fn follow_with_tail(&mut self, now: Moment) {
        if !self.holds_tail || !self.playout.runs_short(self.sound.len()) {
            return;
        }
        if self.pace.is_on_demand() && self.source.speed(now) == SourceSpeed::RealTime {
            // The next piece is on its way; a padded frame before it would keep it waiting.
            self.tail_due.get_or_insert(now + TAIL_PATIENCE);
        } else {
            self.let_tail_out();
        }
    }

    /// Moves what waits, and its marks, into a playout of another format.
    fn move_playout(&mut self, leg: MediaFormat) {
        let mut moved = Playout::new(leg, PLAYOUT_MAX);
        let mut counted = Counters::default();
        self.count(&mut counted);
        let waiting_ms = millis(self.playout.depth());
        self.earlier =
            Counters { pushed_ms: counted.pushed_ms - waiting_ms.min(counted.pushed_ms), ..counted };
        if let Ok(mut converter) = Converter::new(self.leg, leg) {
            self.playout.end_of_utterance();
            let mut piece = vec![0; self.leg.bytes_in(MOVED_PIECE)];
            let mut converted = Vec::new();
            let item = self.playout.current_item().map(Box::<str>::from);
            self.carried = item.and_then(|item| Some((item.clone(), self.heard(&item)?.0)));
            while !self.playout.is_empty() {
                let item = self.playout.current_item().map(Box::<str>::from);
                let pulled = self.playout.pull(&mut piece);
                converted.clear();
                converter.convert(piece.get(..pulled.audio_bytes).unwrap_or_default(), &mut converted);
                moved.push(&converted, item.as_deref());
                while let Some(mark) = self.playout.poll_mark() {
                    // There was room for it, so there is.
                    let _ = moved.mark(mark.name);
                }
            }
            converted.clear();
            converter.finish(&mut converted);
            moved.push(&converted, None);
        }
        self.playout = moved;
    }

    /// A real-time source that fell behind is brought back by taking out silence.
    fn win_time_back(&mut self, now: Moment) {
        // Of a bot that names items each has its length: nothing is taken out of them.
        let may = self.item.is_none() && self.source.speed(now) == SourceSpeed::RealTime;
        if may && self.playout.depth() > DEPTH_TOLERATED {
            self.playout.trim_silence(DEPTH_TARGET, SilenceGate::new(SILENCE_DBFS));
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Bot audio that waits to be played on one call.
pub const PLAYOUT_MAX: Duration = Duration::from_secs(300);

/// A playout moves to another format in pieces of this length, marks to the end of their piece.
const MOVED_PIECE: Duration = Duration::from_millis(10);
/// Bytes of the conversion buffer that are kept after a burst.
const CONVERTED_BYTES_KEPT_MAX: usize = 16_384;
/// How late the next piece of a real-time source may come before the last one is taken for the end.
const TAIL_PATIENCE: Duration = Duration::from_millis(40);
/// What a real-time source may be behind before time is won back.
const DEPTH_TOLERATED: Duration = Duration::from_millis(80);
/// Where it is brought back to.
const DEPTH_TARGET: Duration = Duration::from_millis(40);
/// Below this level audio is a pause between words.
const SILENCE_DBFS: f32 = -50.0;

#[cfg(test)]
#[path = "speaker_tests.rs"]
mod tests;
