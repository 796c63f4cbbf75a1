//! Repeats each utterance when the caller pauses; whoever speaks meanwhile is listened to instead.
//!
//! It hears by energy: on a loudspeaker it may take its own voice for the caller's.

use std::convert::Infallible;
use std::time::Duration;

use patchcord_core::dialect::{Capability, Dialect, Malformed, Out, Wire};
use patchcord_core::media::{MediaFormat, SpeechEdge, VoiceActivity};
use patchcord_core::vocabulary::{CallCommand, CallEvent, Moment};

/// The bot `parrot`.
#[derive(Debug)]
pub struct Parrot {
    format: MediaFormat,
    activity: VoiceActivity,
    edges: Vec<SpeechEdge>,
    /// The utterance that is being said, or the moment before one.
    kept: Vec<u8>,
    /// The sample of the stream with which it begins.
    kept_from: u64,
    is_listening: bool,
    /// The number of the mark behind what is being repeated.
    repeating: Option<u64>,
    repeated: u64,
}

impl Parrot {
    /// A parrot in `format`.
    pub fn new(format: MediaFormat) -> Self {
        Self {
            format,
            activity: VoiceActivity::new(format),
            edges: Vec::new(),
            kept: Vec::new(),
            kept_from: 0,
            is_listening: false,
            repeating: None,
            repeated: 0,
        }
    }

    fn keep(&mut self, audio: &[u8]) {
        let room = self.format.bytes_in(UTTERANCE_MAX).saturating_sub(self.kept.len());
        let room = room - room % self.format.bytes_per_sample();
        self.kept.extend_from_slice(audio.get(..room).unwrap_or(audio));
        let lead = self.format.bytes_in(LEAD);
        if !self.is_listening && self.kept.len() > 2 * lead {
            self.forget_until(self.kept_from + self.format.samples_of(self.kept.len() - lead));
        }
    }

    /// Drops what was said before the sample `at`.
    fn forget_until(&mut self, at: u64) {
        let samples = at.saturating_sub(self.kept_from);
        let bytes =
            usize::try_from(samples).unwrap_or(usize::MAX).saturating_mul(self.format.bytes_per_sample());
        self.kept.drain(..bytes.min(self.kept.len()));
        self.kept_from = self.kept_from.max(at);
    }

    fn begin(&mut self, at: u64, out: &mut Out<CallCommand>) {
        if self.repeating.take().is_some() {
            out.hear(CallCommand::Clear);
        }
        self.is_listening = true;
        self.forget_until(at.saturating_sub(self.format.samples_in(AROUND)));
    }

    fn repeat(&mut self, at: u64, out: &mut Out<CallCommand>) {
        self.is_listening = false;
        let samples = (at + self.format.samples_in(AROUND)).saturating_sub(self.kept_from);
        let bytes =
            usize::try_from(samples).unwrap_or(usize::MAX).saturating_mul(self.format.bytes_per_sample());
        let Ok(()) = out.hear_audio(|to| {
            to.extend_from_slice(self.kept.get(..bytes).unwrap_or(&self.kept));
            Ok::<_, Infallible>(())
        });
        self.repeated += 1;
        self.repeating = Some(self.repeated);
        out.hear(CallCommand::Mark { name: self.repeated.to_string().into() });
        self.kept = Vec::new();
        self.kept_from = self.activity.position();
    }
}

impl Dialect for Parrot {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallEvent, _now: Moment, _out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Mark { name, .. } => {
                let number = name.parse().ok();
                self.repeating = self.repeating.filter(|repeating| Some(*repeating) != number);
            }
            CallEvent::Started(_)
            | CallEvent::Digit(_)
            | CallEvent::Cleared
            | CallEvent::Refused(_)
            | CallEvent::Ended(_)
            | CallEvent::Record(_)
            | CallEvent::Flow(_)
            | CallEvent::Speech(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    /// The caller's audio, which never stops, is the clock.
    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallCommand>) {
        self.keep(audio);
        let mut edges = std::mem::take(&mut self.edges);
        self.activity.hear(audio, |edge| edges.push(edge));
        for edge in edges.drain(..) {
            match edge {
                SpeechEdge::Started { at } => self.begin(at, out),
                SpeechEdge::Stopped { at } => self.repeat(at, out),
            }
        }
        self.edges = edges;
    }

    fn decode(&mut self, _: Wire<'_>, _: Moment, _: &mut Out<CallCommand>) -> Result<(), Malformed> {
        Err(Malformed::Unexpected("a message"))
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::DigitsToBot]
    }
}

/// The longest utterance that is kept; what is said beyond it is not repeated.
const UTTERANCE_MAX: Duration = Duration::from_secs(20);
/// What is kept of the time before an utterance: it is noticed a little after its beginning.
const LEAD: Duration = Duration::from_millis(500);
/// What is repeated before the first loud sample and behind the last: soft beginnings and ends of words.
const AROUND: Duration = Duration::from_millis(60);

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::dialect::Heard;
    use patchcord_core::media::{SineTone, encode_samples};
    use patchcord_core::vocabulary::MarkOutcome;

    const FORMATS: [MediaFormat; 4] = [
        MediaFormat::PCMU_8K,
        MediaFormat::linear16(8_000),
        MediaFormat::linear16(16_000),
        MediaFormat::linear16(48_000),
    ];

    /// A parrot with a caller, 20 ms at a time.
    struct Cage {
        parrot: Parrot,
        sine: SineTone,
        out: Out<CallCommand>,
        said: Vec<u8>,
        clears: usize,
        marks: Vec<Box<str>>,
    }

    impl Cage {
        fn new(format: MediaFormat) -> Self {
            let mut cage = Self {
                parrot: Parrot::new(format),
                sine: SineTone::new(format.sample_rate, 440.0, 9_000),
                out: Out::new(),
                said: Vec::new(),
                clears: 0,
                marks: Vec::new(),
            };
            cage.quiet(600);
            cage
        }

        fn speak(&mut self, ms: u64) {
            self.frames(ms, true);
        }

        fn quiet(&mut self, ms: u64) {
            self.frames(ms, false);
        }

        fn frames(&mut self, ms: u64, loud: bool) {
            let format = self.parrot.format;
            let mut samples = vec![0; usize::try_from(format.samples_in(Duration::from_millis(20))).unwrap()];
            for _ in 0..ms / 20 {
                samples.fill(0);
                if loud {
                    self.sine.fill(&mut samples);
                }
                let mut frame = Vec::new();
                encode_samples(format, &samples, &mut frame);
                self.parrot.encode_audio(&frame, Moment::START, &mut self.out);
                self.take();
            }
        }

        fn take(&mut self) {
            for heard in self.out.heard() {
                match heard {
                    Heard::Audio(span) => self.said.extend_from_slice(self.out.audio(span)),
                    Heard::Item(CallCommand::Clear) => self.clears += 1,
                    Heard::Item(CallCommand::Mark { name }) => self.marks.push(name.clone()),
                    Heard::Item(other) => panic!("{other:?}"),
                }
            }
            self.out.clear();
        }

        fn said_ms(&mut self) -> u128 {
            let said = std::mem::take(&mut self.said);
            self.parrot.format.duration_of(said.len()).as_millis()
        }

        fn all_is_heard(&mut self) {
            let name = self.marks.last().unwrap().clone();
            self.parrot.encode(
                &CallEvent::Mark { name, outcome: MarkOutcome::Played },
                Moment::START,
                &mut self.out,
            );
        }
    }

    #[test]
    fn each_utterance_comes_back_whole_after_the_pause_in_every_format() {
        for format in FORMATS {
            let mut cage = Cage::new(format);
            for length in [200, 1_000, 2_500] {
                cage.speak(length);
                assert_eq!(cage.said_ms(), 0, "{format}: it does not interrupt");
                cage.quiet(600);
                let said = cage.said_ms();
                let wanted = u128::from(length) + 2 * AROUND.as_millis();
                assert!(said.abs_diff(wanted) <= 20, "{format}: {length} ms came back as {said}");
                cage.all_is_heard();
                cage.quiet(1_000);
                assert_eq!(cage.said_ms(), 0, "{format}: once");
            }
            assert_eq!(cage.clears, 0, "{format}");
        }
    }

    #[test]
    fn what_comes_back_is_what_was_said() {
        let mut cage = Cage::new(MediaFormat::linear16(8_000));
        cage.speak(400);
        cage.quiet(600);
        let said: Vec<i16> =
            cage.said.as_chunks::<2>().0.iter().map(|two| i16::from_le_bytes(*two)).collect();
        let mut wanted = vec![0; 3_200];
        SineTone::new(8_000, 440.0, 9_000).fill(&mut wanted);
        let at = said.iter().position(|sample| *sample != 0).unwrap();
        // The sine begins with a zero.
        assert_eq!(said[at - 1..at - 1 + 3_200], wanted);
    }

    #[test]
    fn a_pause_between_words_ends_no_utterance() {
        let mut cage = Cage::new(MediaFormat::PCMU_8K);
        cage.speak(500);
        cage.quiet(300);
        cage.speak(500);
        assert_eq!(cage.said_ms(), 0);
        cage.quiet(600);
        assert!(cage.said_ms().abs_diff(1_420) <= 20);
    }

    #[test]
    fn a_caller_who_speaks_while_it_repeats_is_listened_to_instead() {
        let mut cage = Cage::new(MediaFormat::PCMU_8K);
        cage.speak(2_000);
        cage.quiet(600);
        assert!(cage.said_ms() > 0);
        cage.speak(100);
        assert_eq!(cage.clears, 1);
        cage.speak(900);
        cage.quiet(600);
        assert!(cage.said_ms().abs_diff(1_120) <= 20);
        assert_eq!(cage.clears, 1);
    }

    #[test]
    fn a_mark_of_earlier_says_nothing_about_what_is_repeated_now() {
        let mut cage = Cage::new(MediaFormat::PCMU_8K);
        cage.speak(500);
        cage.quiet(600);
        let first = cage.marks[0].clone();
        cage.speak(500);
        let cleared = CallEvent::Mark { name: first, outcome: MarkOutcome::Cleared };
        cage.quiet(600);
        cage.parrot.encode(&cleared, Moment::START, &mut cage.out);
        cage.speak(100);
        assert_eq!(cage.clears, 2, "the second is still being repeated");
    }

    #[test]
    fn of_a_speech_without_end_twenty_seconds_are_kept() {
        let mut cage = Cage::new(MediaFormat::PCMU_8K);
        // A voice that changes: what goes on evenly is noise.
        for _ in 0..100 {
            cage.speak(240);
            cage.quiet(60);
        }
        assert!(cage.parrot.kept.capacity() <= 2 * 160_000, "{}", cage.parrot.kept.capacity());
        cage.quiet(600);
        assert_eq!(cage.said_ms(), 20_000);
    }
}
