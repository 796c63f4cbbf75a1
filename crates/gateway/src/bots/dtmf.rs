//! Answers every key with its own two tones, and after a pause beeps once for each key it has heard.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use patchcord_core::dialect::{Capability, Dialect, Malformed, Out, Wire};
use patchcord_core::media::{DtmfTones, MediaFormat, SineTone, encode_samples};
use patchcord_core::vocabulary::{CallCommand, CallEvent, Digit, Moment};
use tracing::info;

/// The bot `dtmf`.
#[derive(Debug)]
pub struct Dtmf {
    format: MediaFormat,
    waiting: VecDeque<Digit>,
    tones: DtmfTones,
    gap_samples: u64,
    samples: Vec<i16>,
    keys: u32,
    count_at: Option<Moment>,
    beeps: Beeps,
}

/// Beeps that wait, each followed by as much silence.
#[derive(Debug)]
struct Beeps {
    sine: SineTone,
    half_samples: u64,
    left_samples: u64,
}

impl Dtmf {
    /// A bot in `format`.
    pub fn new(format: MediaFormat) -> Self {
        Self {
            format,
            waiting: VecDeque::new(),
            tones: DtmfTones::new(format.sample_rate),
            gap_samples: 0,
            samples: Vec::new(),
            keys: 0,
            count_at: None,
            beeps: Beeps {
                sine: SineTone::new(format.sample_rate, BEEP_HZ, BEEP_AMPLITUDE),
                half_samples: format.samples_in(BEEP).max(1),
                left_samples: 0,
            },
        }
    }

    fn press(&mut self, digit: Digit, now: Moment) {
        self.keys += 1;
        self.beeps.left_samples = 0;
        self.count_at = Some(now + COUNT_AFTER);
        if self.waiting.len() < KEYS_WAITING_MAX {
            self.waiting.push_back(digit);
        }
    }

    /// Whether there is anything to hear, once a count that is due has begun.
    fn has_something_to_say(&mut self, now: Moment) -> bool {
        let answering = self.is_answering();
        if !answering && self.count_at.is_some_and(|at| now >= at) {
            self.count_at = None;
            self.beeps.left_samples = self.beeps.half_samples * 2 * u64::from(self.keys);
        }
        answering || self.beeps.left_samples > 0
    }

    fn is_answering(&self) -> bool {
        self.tones.is_sounding() || self.gap_samples > 0 || !self.waiting.is_empty()
    }

    fn next_sample(&mut self) -> i16 {
        if self.tones.is_sounding() {
            return self.tones.next_sample();
        }
        if self.gap_samples > 0 {
            self.gap_samples -= 1;
            return 0;
        }
        match self.waiting.pop_front() {
            Some(digit) => {
                self.tones.start(digit, DtmfTones::TONE);
                self.gap_samples = self.format.samples_in(DtmfTones::TONE);
                self.tones.next_sample()
            }
            None => self.beeps.next_sample(),
        }
    }
}

impl Dialect for Dtmf {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallEvent, now: Moment, _out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Digit(press) => self.press(press.digit, now),
            CallEvent::Ended(_) => info!(keys = self.keys, "the dtmf bot has answered its keys"),
            CallEvent::Started(_)
            | CallEvent::Mark { .. }
            | CallEvent::Cleared
            | CallEvent::Refused(_)
            | CallEvent::Record(_)
            | CallEvent::Flow(_)
            | CallEvent::Speech(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    /// The caller's audio, which never stops, is the clock.
    fn encode_audio(&mut self, audio: &[u8], now: Moment, out: &mut Out<CallCommand>) {
        if !self.has_something_to_say(now) {
            return;
        }
        self.samples.clear();
        for _ in 0..audio.len() / self.format.bytes_per_sample() {
            let sample = self.next_sample();
            self.samples.push(sample);
        }
        let Ok(()) = out.hear_audio(|to| {
            encode_samples(self.format, &self.samples, to);
            Ok::<_, Infallible>(())
        });
    }

    fn decode(&mut self, _: Wire<'_>, _: Moment, _: &mut Out<CallCommand>) -> Result<(), Malformed> {
        Err(Malformed::Unexpected("a message"))
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::DigitsToBot]
    }
}

impl Beeps {
    fn next_sample(&mut self) -> i16 {
        if self.left_samples == 0 {
            return 0;
        }
        self.left_samples -= 1;
        let mut sample = [0];
        // Each beep ends with its silent half.
        if self.left_samples % (self.half_samples * 2) >= self.half_samples {
            self.sine.fill(&mut sample);
        }
        sample[0]
    }
}

/// Keys that wait for their tones; further ones are counted only.
const KEYS_WAITING_MAX: usize = 64;

/// How long no key must come before the count is told.
const COUNT_AFTER: Duration = Duration::from_secs(2);

/// One beep, and the silence after it.
const BEEP: Duration = Duration::from_millis(120);
const BEEP_HZ: f64 = 440.0;
const BEEP_AMPLITUDE: i16 = 8_231;

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::dialect::Heard;
    use patchcord_core::media::DtmfDetector;
    use patchcord_core::vocabulary::DigitPress;

    const FORMAT: MediaFormat = MediaFormat::linear16(8_000);

    /// What the bot says from `from` for so many 20 ms frames; silence where it says nothing.
    fn listen(bot: &mut Dtmf, from: u64, frames: u64) -> Vec<i16> {
        let mut heard = Vec::new();
        let mut out = Out::new();
        for frame in 0..frames {
            out.clear();
            bot.encode_audio(&[0; 320], Moment::from_millis(from + frame * 20), &mut out);
            match out.heard() {
                [Heard::Audio(span)] => heard.extend(
                    out.audio(span).chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])),
                ),
                _ => heard.extend([0; 160]),
            }
        }
        heard
    }

    fn press(bot: &mut Dtmf, key: char, at: u64) {
        let digit = Digit::try_from(key).unwrap();
        let event = CallEvent::Digit(DigitPress { digit, duration: None });
        bot.encode(&event, Moment::from_millis(at), &mut Out::new());
    }

    #[test]
    fn every_key_is_answered_with_its_tone_once_and_in_order() {
        let mut bot = Dtmf::new(FORMAT);
        for key in ['5', '1', '#'] {
            press(&mut bot, key, 0);
        }
        let heard = listen(&mut bot, 0, 60);
        let mut keys = Vec::new();
        let mut detector = DtmfDetector::new();
        detector.listen(&heard, &mut |key| keys.push(key.digit.event()));
        assert_eq!(keys, [5, 1, 11]);
    }

    #[test]
    fn after_a_pause_there_is_one_beep_for_each_key() {
        let mut bot = Dtmf::new(FORMAT);
        press(&mut bot, '5', 0);
        press(&mut bot, '6', 0);
        listen(&mut bot, 0, 99);
        let heard = listen(&mut bot, 2_000, 100);
        let loud: Vec<bool> = heard.chunks(80).map(|chunk| chunk.iter().any(|s| s.abs() > 4_000)).collect();
        let beeps = loud.windows(2).filter(|pair| !pair[0] && pair[1]).count() + usize::from(loud[0]);
        assert_eq!(beeps, 2);
    }
}
