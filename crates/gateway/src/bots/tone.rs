//! Sounds 1 kHz for as long as the caller listens: for levels, latency, and ears.

use std::convert::Infallible;

use patchcord_core::dialect::{Capability, Dialect, Malformed, Out, Wire};
use patchcord_core::media::{MediaFormat, SineTone, encode_samples};
use patchcord_core::vocabulary::{CallCommand, CallEvent, Moment};

/// The bot `tone`.
#[derive(Debug)]
pub struct Tone {
    format: MediaFormat,
    sine: SineTone,
    samples: Vec<i16>,
}

impl Tone {
    /// A tone in `format`.
    pub fn new(format: MediaFormat) -> Self {
        Self { format, sine: SineTone::new(format.sample_rate, FREQUENCY_HZ, AMPLITUDE), samples: Vec::new() }
    }
}

impl Dialect for Tone {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, _say: &CallEvent, _now: Moment, _out: &mut Out<CallCommand>) {}

    /// The caller's audio, which never stops, is the clock.
    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallCommand>) {
        let Self { format, sine, samples } = self;
        samples.resize(audio.len() / format.bytes_per_sample(), 0);
        sine.fill(samples);
        let Ok(()) = out.hear_audio(|to| {
            encode_samples(*format, samples, to);
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

const FREQUENCY_HZ: f64 = 1_000.0;

/// -12 dB below full scale.
const AMPLITUDE: i16 = 8_231;

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::dialect::Heard;

    #[test]
    fn each_frame_of_the_caller_is_answered_by_as_much_tone() {
        let mut tone = Tone::new(MediaFormat::linear16(8_000));
        let mut out = Out::new();
        tone.encode_audio(&[0; 320], Moment::START, &mut out);
        let [Heard::Audio(span)] = out.heard() else { panic!("{:?}", out.heard()) };
        let bytes = out.audio(span);
        assert_eq!(bytes.len(), 320);
        // A kilohertz at 8 kHz peaks at the third sample.
        assert_eq!(i16::from_le_bytes([bytes[4], bytes[5]]), AMPLITUDE);
    }
}
