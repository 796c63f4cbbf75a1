//! One recording while it runs: a short window of samples in which both channels find their places, given away from
//! its old end four times a second.

use std::time::Duration;

use crate::media::{Converter, MediaFormat, decode_samples};
use crate::vocabulary::Moment;

use super::super::output::{Outputs, ReelFor};
use super::key_mask::KeyMask;
use super::track::Track;
use super::{RecordingState, Side};

/// The window of one recording.
pub(super) struct Reel {
    whose: ReelFor,
    /// Samples that are given away at once.
    stretch: u64,
    /// Samples of the past in which what comes late still finds its place.
    hold: u64,
    format: MediaFormat,
    channels: usize,
    began: Moment,
    /// The place of the first sample in `window`.
    base: u64,
    /// Interleaved, silent where nothing was written.
    window: Vec<i16>,
    channel: [Channel; 2],
    /// Finds the keys that are not to be heard.
    mask: Option<KeyMask>,
    is_paused: bool,
    samples: Vec<i16>,
}

struct Channel {
    track: Track,
    /// The way from another format, and that format.
    converter: Option<(MediaFormat, Converter)>,
    converted: Vec<u8>,
}

/// What a recording is to be like.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReelSettings {
    pub(super) whose: ReelFor,
    pub(super) sample_rate: u32,
    pub(super) mask_digits: bool,
    /// How late a frame of the caller, and one to the caller, may be and still follow the one before it.
    pub(super) late_max: [Duration; 2],
}

impl Reel {
    pub(super) fn new(settings: ReelSettings, now: Moment, outputs: &mut Outputs) -> Self {
        let ReelSettings { whose, sample_rate, mask_digits, late_max } = settings;
        let format = MediaFormat::linear16(sample_rate);
        let channels = whose.channels();
        outputs.tape_started(whose, sample_rate);
        let slack = format.samples_in(SLACK);
        let (stretch, hold) = match whose {
            ReelFor::Tape(_) => (STRETCH, HOLD),
            ReelFor::Listeners => (LISTENERS_STRETCH, LISTENERS_HOLD),
        };
        let window = format.samples_in(stretch + hold + AHEAD);
        Self {
            whose,
            stretch: format.samples_in(stretch),
            hold: format.samples_in(hold),
            format,
            channels,
            began: now,
            base: 0,
            window: vec![0; usize::try_from(window).unwrap_or(0) * channels],
            channel: late_max.map(|late| Channel {
                track: Track::new(format.samples_in(late), slack),
                converter: None,
                converted: Vec::new(),
            }),
            mask: mask_digits.then(|| KeyMask::new(sample_rate)),
            is_paused: false,
            samples: Vec::new(),
        }
    }

    /// Writes audio of one side that passes at `now` and has that peak.
    pub(super) fn write(&mut self, side: Side, format: MediaFormat, audio: &[u8], peak: u16, now: Moment) {
        if side as usize >= self.channels {
            return;
        }
        self.decode(side, format, audio);
        let count = self.samples.len() as u64;
        let ends = i64::try_from(self.frame_at(now)).unwrap_or(i64::MAX);
        // What the caller says was said before it came; what the caller hears begins as it leaves.
        let target = match side {
            Side::Caller => ends - i64::try_from(count).unwrap_or(0),
            Side::Heard => ends,
        };
        let Some(channel) = self.channel.get_mut(side as usize) else { return };
        let place = channel.track.place(target, count, peak < QUIET);
        let masked = match &mut self.mask {
            Some(mask) if side == Side::Caller => mask.hear(&self.samples),
            _ => false,
        };
        if masked {
            let back = self.format.samples_in(KeyMask::FOUND_WITHIN);
            self.erase(side, place.at.saturating_sub(back), place.at);
        }
        if self.is_paused || masked {
            return;
        }
        let skip = place.skip + self.base.saturating_sub(place.at);
        let at = place.at.max(self.base) - self.base;
        let room =
            self.window.chunks_exact_mut(self.channels).skip(usize::try_from(at).unwrap_or(usize::MAX));
        let samples = self.samples.iter().skip(usize::try_from(skip).unwrap_or(usize::MAX));
        for (frame, sample) in room.zip(samples) {
            if let Some(to) = frame.get_mut(side as usize) {
                *to = *sample;
            }
        }
    }

    /// The stream of one side says that so much of it is missing.
    pub(super) fn skip(&mut self, side: Side, missing: Duration) {
        let samples = self.format.samples_in(missing);
        if let Some(channel) = self.channel.get_mut(side as usize) {
            channel.track.skip(samples);
        }
    }

    pub(super) fn pause(&mut self, pause: bool) {
        self.is_paused = pause;
    }

    pub(super) fn state(&self) -> RecordingState {
        if self.is_paused { RecordingState::Paused } else { RecordingState::Running }
    }

    /// Gives away what is old enough to be whole.
    pub(super) fn advance(&mut self, now: Moment, outputs: &mut Outputs) {
        let (stretch, hold) = (self.stretch, self.hold);
        while let ripe = self.frame_at(now).saturating_sub(self.base + hold)
            && ripe >= stretch
        {
            let held = (self.window.len() / self.channels) as u64;
            if ripe > held + stretch {
                // The process stood still: what nobody wrote is silence, however long it was.
                self.give(held, outputs);
                let silent = ripe - held;
                outputs.tape_silence(self.whose, silent);
                self.base += silent;
            } else {
                self.give(stretch, outputs);
            }
        }
    }

    /// Whether a call of [`Reel::advance`] would give something away.
    pub(super) fn is_ripe(&self, now: Moment) -> bool {
        self.frame_at(now) >= self.base + self.stretch + self.hold
    }

    /// The place that is written at this moment.
    pub(super) fn frame_at(&self, now: Moment) -> u64 {
        self.format.samples_in(now - self.began)
    }

    /// Gives away everything until `now`: the recording is over.
    pub(super) fn end(&mut self, now: Moment, outputs: &mut Outputs) {
        self.advance(now, outputs);
        self.give(self.frame_at(now).saturating_sub(self.base), outputs);
        outputs.tape_stopped(self.whose);
    }

    fn give(&mut self, frames: u64, outputs: &mut Outputs) {
        let count = usize::try_from(frames).unwrap_or(usize::MAX).saturating_mul(self.channels);
        let count = count.min(self.window.len());
        outputs.tape_sound(self.whose, self.window.get(..count).unwrap_or_default());
        self.window.copy_within(count.., 0);
        let kept = self.window.len() - count;
        self.window.iter_mut().skip(kept).for_each(|sample| *sample = 0);
        self.base += (count / self.channels) as u64;
    }

    fn erase(&mut self, side: Side, from: u64, to: u64) {
        let from = usize::try_from(from.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let to = usize::try_from(to.saturating_sub(self.base)).unwrap_or(usize::MAX);
        let frames = self.window.chunks_exact_mut(self.channels).take(to).skip(from);
        frames.filter_map(|frame| frame.get_mut(side as usize)).for_each(|sample| *sample = 0);
    }

    /// Fills `samples` with what `audio` says at the tape's rate.
    fn decode(&mut self, side: Side, format: MediaFormat, audio: &[u8]) {
        let Some(channel) = self.channel.get_mut(side as usize) else { return };
        let (format, audio) = if format.sample_rate == self.format.sample_rate {
            (format, audio)
        } else {
            if !matches!(&channel.converter, Some((from, _)) if *from == format) {
                channel.converter =
                    Converter::new(format, self.format).ok().map(|converter| (format, converter));
            }
            channel.converted.clear();
            if let Some((_, converter)) = &mut channel.converter {
                converter.convert(audio, &mut channel.converted);
            }
            (self.format, channel.converted.as_slice())
        };
        self.samples.resize(audio.len() / format.bytes_per_sample(), 0);
        decode_samples(format, audio, &mut self.samples);
    }
}

/// What is given away at once.
const STRETCH: Duration = Duration::from_millis(250);
/// So long frames may come late and still find their place; with the stretch and the shell's step to the disk, what a
/// power cut takes stays below a second.
const HOLD: Duration = Duration::from_millis(240);
/// The same for those who listen: sooner, and still behind the place from which a key is erased.
const LISTENERS_STRETCH: Duration = Duration::from_millis(80);
const LISTENERS_HOLD: Duration = Duration::from_millis(120);
/// Room beyond this moment: a long packet, and a stream that is a frame early.
const AHEAD: Duration = Duration::from_millis(110);
/// What a stream may be off before it is put right.
const SLACK: Duration = Duration::from_millis(20);
/// Peaks below -40 dBFS are a pause between words.
const QUIET: u16 = 328;
