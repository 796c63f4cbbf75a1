//! Towards the bot: the caller's audio in the bot's format and frames, continuous whatever the phone sends.
//!
//! No playout delay: what comes in order leaves at once. Loss is concealed; when the phone stops sending, the
//! call's own clock feeds silence so that the bot's stamps go on. Keys become tones for a bot whose dialect has no
//! message for them, and tones become keys for a phone that has none.

use std::collections::VecDeque;
use std::time::Duration;

use crate::dialect::WireAudio;
use crate::media::{
    Concealer, Converter, DtmfDetector, DtmfTones, Level, MediaFormat, SilenceGate, decode_samples,
};
use crate::vocabulary::{Counters, DigitPress, FromPhone, Moment};

use super::key_tones::{KeyTone, KeyTones};
use super::lead::Lead;
use super::voice::{Voice, VoiceEdge};

/// What one bot hears.
pub(super) struct Listener {
    phone: MediaFormat,
    bot: WireAudio,
    converter: Option<Converter>,
    concealer: Concealer,
    /// Audio in the bot's format that waits to fill a frame.
    waiting: Vec<u8>,
    /// How much of it was handed out.
    taken: usize,
    frame_bytes: usize,
    /// Reused for the frame that is handed out.
    frame: Option<Vec<u8>>,
    /// Until when the bot has been given audio; `None` before the answer.
    fed_until: Option<Moment>,
    lead: Lead,
    /// Silence given ahead of audio that may still come, in samples of the phone.
    ahead_samples: u64,
    clock: ClockState,
    /// Keys that sound in the caller's audio.
    tones: KeyTones,
    detection: Option<Detection>,
    scratch: Vec<u8>,
    heard_samples: u64,
    concealed_samples: u64,
    clock_samples: u64,
    gate: SilenceGate,
    /// Silence that the phone announced, in samples.
    comfort_samples: u64,
    voice: Voice,
}

/// What our own clock is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClockState {
    /// Nothing of the phone has come yet.
    Unheard,
    /// The phone's audio makes it unnecessary.
    Waiting,
    /// It feeds silence.
    Feeding,
}

/// Keys that are found in the caller's audio.
struct Detection {
    detector: DtmfDetector,
    to_linear: Converter,
    linear: Vec<u8>,
    samples: Vec<i16>,
    found: VecDeque<DigitPress>,
}

impl Listener {
    pub(super) fn new(phone: MediaFormat, bot: WireAudio) -> Self {
        Self {
            phone,
            bot,
            converter: Converter::new(phone, bot.format).ok(),
            concealer: Concealer::new(phone),
            waiting: Vec::new(),
            taken: 0,
            frame_bytes: bot.format.bytes_in(bot.frame).max(1),
            frame: None,
            fed_until: None,
            lead: Lead::default(),
            ahead_samples: 0,
            clock: ClockState::Unheard,
            tones: KeyTones::new(phone),
            detection: None,
            scratch: Vec::new(),
            heard_samples: 0,
            concealed_samples: 0,
            clock_samples: 0,
            gate: SilenceGate::default(),
            comfort_samples: 0,
            voice: Voice::new(phone),
        }
    }

    /// The phone's format changed.
    pub(super) fn set_phone(&mut self, phone: MediaFormat) {
        if phone != self.phone {
            let (from, to) = (u64::from(self.phone.sample_rate.max(1)), u64::from(phone.sample_rate));
            let counted = [&mut self.ahead_samples, &mut self.heard_samples, &mut self.concealed_samples];
            let counted = counted.into_iter().chain([&mut self.clock_samples, &mut self.comfort_samples]);
            // What was counted goes on in the new rate.
            counted.for_each(|samples| *samples = samples.saturating_mul(to) / from);
            self.lead.set_rate(from, to);
            self.phone = phone;
            self.converter = Converter::new(phone, self.bot.format).ok();
            self.concealer = Concealer::new(phone);
            self.tones = KeyTones::new(phone);
            self.voice.set_format(phone);
            let detects = self.detection.take().is_some();
            self.detect_digits(detects);
        }
    }

    /// Another bot listens from now on; the begun frame of the one before it is dropped.
    pub(super) fn set_bot(&mut self, bot: WireAudio) {
        self.bot = bot;
        self.converter = Converter::new(self.phone, bot.format).ok();
        self.frame_bytes = bot.format.bytes_in(bot.frame).max(1);
        self.waiting.clear();
        self.taken = 0;
    }

    /// Whether keys are looked for in the audio, for a phone that has no other way to send them.
    pub(super) fn detect_digits(&mut self, wanted: bool) {
        if !wanted {
            self.detection = None;
        } else if self.detection.is_none() {
            self.detection = Detection::new(self.phone);
        }
    }

    /// The bot is given audio from now on.
    pub(super) fn start(&mut self, now: Moment) {
        self.fed_until = Some(now);
        self.lead.begin(now);
    }

    /// Whether so many bytes of the phone may be heard: what is far ahead of real time may not, and is counted.
    pub(super) fn admits(&mut self, bytes: usize, now: Moment) -> bool {
        let admits = self.lead.admits(self.phone, bytes, now);
        if !admits {
            // Nor does a bot that was given that much need our silence.
            (self.fed_until, self.clock) = (Some(now), ClockState::Waiting);
        }
        admits
    }

    /// Takes audio of the phone.
    pub(super) fn hear(&mut self, audio: &[u8], now: Moment) {
        self.fed_until = Some(now);
        self.clock = ClockState::Waiting;
        let samples = self.phone.samples_of(audio.len());
        self.heard_samples += samples;
        self.lead.give(samples);
        self.voice.hear(audio, now);
        if let Some(detection) = &mut self.detection {
            detection.look(audio);
        }
        if !self.tones.is_idle() {
            self.sound_tone(audio.len());
        } else if self.is_covered(audio) {
            self.concealer.heard(audio);
        } else {
            self.concealer.heard(audio);
            self.feed(audio);
        }
    }

    /// So many samples of the phone were lost; silence that our clock gave already counts for them. `fill`
    /// overwrites what is missing if the phone's codec can tell, else the sound before it goes on.
    pub(super) fn conceal(&mut self, samples: u64, now: Moment, fill: &mut dyn FnMut(&mut [u8]) -> bool) {
        let samples = self.not_covered(samples, now);
        self.concealed_samples += samples;
        self.voice.skip(samples, now);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.resize(usize::try_from(samples).unwrap_or(0) * self.phone.bytes_per_sample(), 0);
        if !fill(&mut scratch) {
            self.concealer.conceal(&mut scratch);
        }
        self.feed(&scratch);
        self.scratch = scratch;
    }

    /// The phone skipped so many samples: silence, but for what our clock gave already.
    pub(super) fn pause(&mut self, samples: u64, now: Moment) {
        let samples = self.not_covered(samples, now);
        self.voice.skip(samples, now);
        self.feed_silence(samples);
    }

    /// What of a gap in the phone's stream the bot was not given yet; never more than the time that it took.
    fn not_covered(&mut self, samples: u64, now: Moment) -> u64 {
        let covered = samples.min(self.ahead_samples);
        self.ahead_samples -= covered;
        let lasted = self.fed_until.map_or(Duration::ZERO, |until| now - until) + GAP_SLACK;
        let samples = (samples - covered).min(self.phone.samples_in(lasted.min(CONCEAL_MAX)));
        self.lead.give(samples);
        samples
    }

    /// The phone sent silence in place of audio.
    pub(super) fn hear_silence(&mut self, samples: u64, now: Moment) {
        self.fed_until = Some(now);
        self.clock = ClockState::Waiting;
        self.heard_samples += samples;
        self.lead.give(samples);
        self.comfort_samples += samples;
        self.voice.skip(samples, now);
        self.feed_silence(samples.min(self.phone.samples_in(CONCEAL_MAX)));
    }

    /// Lets a key sound in the audio.
    pub(super) fn sound(&mut self, press: DigitPress) {
        let (digit, tone, silence) = (Some(press.digit), DtmfTones::TONE, DtmfTones::TONE);
        self.tones.push(KeyTone { digit, tone, silence });
    }

    /// A key that was found in the audio.
    pub(super) fn poll_digit(&mut self) -> Option<DigitPress> {
        self.detection.as_mut()?.found.pop_front()
    }

    /// When our own clock has to feed silence.
    pub(super) fn poll_timeout(&self) -> Option<Moment> {
        let patience = match self.clock {
            ClockState::Unheard => CLOCK_PATIENCE_AT_FIRST,
            ClockState::Waiting => CLOCK_PATIENCE,
            ClockState::Feeding => CLOCK_STEP,
        };
        self.fed_until.map(|until| until + patience)
    }

    /// Feeds silence for the time in which nothing came.
    pub(super) fn handle_timeout(&mut self, now: Moment) {
        let (Some(due), Some(until)) = (self.poll_timeout(), self.fed_until) else { return };
        if now < due {
            return;
        }
        // Before the first audio there is no time to make up for.
        let missing = match self.clock {
            ClockState::Unheard => CLOCK_STEP,
            ClockState::Waiting | ClockState::Feeding => (now - until).min(CLOCK_AT_ONCE_MAX),
        };
        let bytes = self.phone.bytes_in(missing);
        let samples = self.phone.samples_of(bytes);
        self.clock_samples += samples;
        self.voice.skip(samples, now);
        self.ahead_samples += samples;
        self.clock = ClockState::Feeding;
        self.fed_until = Some(now);
        self.feed_silence(samples);
    }

    /// The next whole frame for the bot; hand its buffer back by [`Listener::return_frame`].
    pub(super) fn take_frame(&mut self) -> Option<Vec<u8>> {
        let Some(next) = self.waiting.get(self.taken..self.taken + self.frame_bytes) else {
            // What is left is moved once for all the frames of a message.
            self.waiting.drain(..self.taken);
            self.taken = 0;
            self.waiting.shrink_to(WAITING_BYTES_KEPT_MAX);
            return None;
        };
        let mut frame = self.frame.take().unwrap_or_default();
        frame.clear();
        frame.extend_from_slice(next);
        self.taken += self.frame_bytes;
        Some(frame)
    }

    pub(super) fn return_frame(&mut self, frame: Vec<u8>) {
        self.frame = Some(frame);
    }

    /// The last edge of the caller's speech that was not taken yet.
    pub(super) fn take_voice_edge(&mut self) -> Option<VoiceEdge> {
        self.voice.take_edge()
    }

    /// Whether anything of the phone's was heard, be it silence.
    pub(super) fn has_heard(&self) -> bool {
        self.heard_samples > 0
    }

    /// Whether anything but digital silence was heard.
    pub(super) fn was_audible(&self) -> bool {
        self.voice.was_audible()
    }

    /// Adds what the bot was given instead of the phone's audio.
    pub(super) fn complete(&self, figures: FromPhone) -> FromPhone {
        FromPhone {
            concealed: self.phone.duration_of_samples(self.concealed_samples),
            comfort_silence: self.phone.duration_of_samples(self.comfort_samples),
            ..figures
        }
    }

    pub(super) fn count(&self, counters: &mut Counters) {
        let to_ms =
            |samples| u64::try_from(self.phone.duration_of_samples(samples).as_millis()).unwrap_or(u64::MAX);
        counters.heard_ms += to_ms(self.heard_samples);
        counters.concealed_ms += to_ms(self.concealed_samples);
        counters.clock_silence_ms += to_ms(self.clock_samples);
        counters.phone_flood_bytes += self.lead.flood_bytes();
    }

    fn feed(&mut self, audio: &[u8]) {
        match &mut self.converter {
            Some(converter) => converter.convert(audio, &mut self.waiting),
            None => self.waiting.extend_from_slice(audio),
        }
    }

    /// Whether this silence of the phone was given by our clock already: audio that was late, not lost, would
    /// otherwise leave the bot behind for good. Speech is always given.
    fn is_covered(&mut self, audio: &[u8]) -> bool {
        let samples = self.phone.samples_of(audio.len());
        if self.ahead_samples > self.phone.samples_in(AHEAD_MAX) {
            self.ahead_samples = 0;
        }
        let covered = self.ahead_samples >= samples
            && samples > 0
            && self.gate.is_silent(Level::of_frame(self.phone, audio));
        if covered {
            self.ahead_samples -= samples;
        }
        covered
    }

    /// Feeds silence, or the keys that sound.
    fn feed_silence(&mut self, samples: u64) {
        let bytes = usize::try_from(samples).unwrap_or(0) * self.phone.bytes_per_sample();
        if !self.tones.is_idle() {
            self.sound_tone(bytes);
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        scratch.resize(bytes, 0);
        self.phone.fill_silence(&mut scratch);
        self.feed(&scratch);
        self.scratch = scratch;
    }

    /// Feeds as much of the sounding keys as audio came.
    fn sound_tone(&mut self, bytes: usize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        self.tones.write(bytes / self.phone.bytes_per_sample(), &mut scratch);
        self.feed(&scratch);
        self.scratch = scratch;
    }
}

impl Detection {
    fn new(phone: MediaFormat) -> Option<Self> {
        let to_linear = Converter::new(phone, MediaFormat::linear16(8_000)).ok()?;
        let (linear, samples, found) = (Vec::new(), Vec::new(), VecDeque::new());
        Some(Self { detector: DtmfDetector::new(), to_linear, linear, samples, found })
    }

    fn look(&mut self, audio: &[u8]) {
        self.linear.clear();
        self.to_linear.convert(audio, &mut self.linear);
        self.samples.resize(self.linear.len() / 2, 0);
        decode_samples(self.to_linear.to(), &self.linear, &mut self.samples);
        let found = &mut self.found;
        self.detector.listen(&self.samples, &mut |key| {
            if found.len() < KEYS_FOUND_MAX {
                found.push_back(DigitPress { digit: key.digit, duration: Some(key.duration) });
            }
        });
    }
}

/// Keys found in the audio that wait to be told.
pub const KEYS_FOUND_MAX: usize = 64;

/// A gap of the stream may be longer than its time by what was in flight.
const GAP_SLACK: Duration = Duration::from_millis(200);
/// Bytes that the buffer of begun frames keeps.
const WAITING_BYTES_KEPT_MAX: usize = 8_192;
/// Loss beyond this is not concealed: the audio has moved on.
const CONCEAL_MAX: Duration = Duration::from_millis(1_000);
/// Without audio for so long, our own clock takes over. Packets of 60 ms, jitter and a lost TCP segment are shorter:
/// silence in the midst of speech would be heard, and what comes late would be late for good.
const CLOCK_PATIENCE: Duration = Duration::from_millis(240);
/// Before the first audio: a phone takes a moment to begin.
const CLOCK_PATIENCE_AT_FIRST: Duration = Duration::from_millis(500);
/// Silence ahead of the phone's audio that is won back; more was a pause of the phone's.
const AHEAD_MAX: Duration = Duration::from_millis(1_000);
/// How often our own clock feeds.
const CLOCK_STEP: Duration = Duration::from_millis(20);
/// The most that our own clock feeds at once, after a standstill of the process.
const CLOCK_AT_ONCE_MAX: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Digit;

    const FRAME: Duration = Duration::from_millis(20);

    fn listener() -> Listener {
        let bot = WireAudio { format: MediaFormat::linear16(8_000), frame: FRAME };
        let mut listener = Listener::new(MediaFormat::PCMU_8K, bot);
        listener.start(Moment::START);
        listener
    }

    #[test]
    fn what_was_heard_at_one_rate_lasts_as_long_when_the_phone_changes_to_another() {
        let mut listener = listener();
        listener.set_phone(MediaFormat::linear16(48_000));
        for at in (20..=1_000).step_by(20) {
            listener.hear(&[0; 1_920], Moment::from_millis(at));
        }
        listener.conceal(4_800, Moment::from_millis(1_100), &mut |_| false);
        listener.set_phone(MediaFormat::PCMU_8K);
        let mut counters = Counters::default();
        listener.count(&mut counters);
        assert_eq!((counters.heard_ms, counters.concealed_ms), (1_000, 100));
    }

    fn frames(listener: &mut Listener) -> usize {
        std::iter::from_fn(|| listener.take_frame()).inspect(|frame| assert_eq!(frame.len(), 320)).count()
    }

    #[test]
    fn audio_in_order_reaches_the_bot_at_once_in_whole_frames() {
        let mut listener = listener();
        listener.hear(&[0x20; 160], Moment::from_millis(5));
        assert_eq!(frames(&mut listener), 1);
        listener.hear(&[0x20; 80], Moment::from_millis(15));
        assert_eq!(frames(&mut listener), 0);
        listener.hear(&[0x20; 240], Moment::from_millis(25));
        assert_eq!(frames(&mut listener), 2);
    }

    #[test]
    fn silence_goes_on_in_real_time_when_the_phone_stops() {
        let mut listener = listener();
        listener.hear(&[0x20; 160], Moment::from_millis(20));
        let mut fed = frames(&mut listener);
        let mut now = Moment::from_millis(20);
        while let Some(due) = listener.poll_timeout().filter(|due| *due <= Moment::from_millis(1_020)) {
            now = due;
            listener.handle_timeout(now);
            fed += frames(&mut listener);
        }
        assert_eq!(now, Moment::from_millis(1_020));
        assert_eq!(fed, 51);
    }

    #[test]
    fn loss_that_our_clock_covered_is_not_concealed_twice() {
        let mut listener = listener();
        listener.hear(&[0x20; 160], Moment::from_millis(20));
        listener.handle_timeout(Moment::from_millis(259));
        assert_eq!(frames(&mut listener), 1, "it may still come");
        listener.handle_timeout(Moment::from_millis(260));
        assert_eq!(frames(&mut listener), 12);
        listener.conceal(1_920, Moment::from_millis(260), &mut |_| false);
        assert_eq!(frames(&mut listener), 0);
        listener.conceal(160, Moment::from_millis(260), &mut |_| false);
        assert_eq!(frames(&mut listener), 1);
    }

    #[test]
    fn keys_become_tones_that_are_found_again() {
        let mut listener = listener();
        let mut finder = Listener::new(
            MediaFormat::linear16(8_000),
            WireAudio { format: MediaFormat::linear16(8_000), frame: FRAME },
        );
        finder.detect_digits(true);
        for digit in ["5", "1", "2"] {
            listener.sound(DigitPress { digit: Digit::try_from(digit).unwrap(), duration: None });
        }
        let mut found = String::new();
        for at in 0..50 {
            let now = Moment::from_millis(at * 20);
            listener.hear(&[0xFF; 160], now);
            while let Some(frame) = listener.take_frame() {
                finder.hear(&frame, now);
                while let Some(press) = finder.poll_digit() {
                    found.push(press.digit.as_char());
                }
            }
        }
        assert_eq!(found, "512");
    }
}
