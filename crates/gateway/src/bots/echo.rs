//! Returns the caller's audio, byte for byte.

use std::convert::Infallible;

use patchcord_core::dialect::{Capability, Dialect, Malformed, Out, Wire};
use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::{CallCommand, CallEvent, Moment};

/// The bot `echo`.
#[derive(Debug)]
pub struct Echo {
    format: MediaFormat,
}

impl Echo {
    /// An echo of `format`.
    pub fn new(format: MediaFormat) -> Self {
        Self { format }
    }
}

impl Dialect for Echo {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, _say: &CallEvent, _now: Moment, _out: &mut Out<CallCommand>) {}

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallCommand>) {
        let Ok(()) = out.hear_audio(|to| {
            to.extend_from_slice(audio);
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

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::dialect::Heard;

    #[test]
    fn what_the_caller_says_comes_back_unchanged() {
        let mut echo = Echo::new(MediaFormat::PCMU_8K);
        let mut out = Out::new();
        echo.encode_audio(&[1, 2, 3], Moment::START, &mut out);
        let [Heard::Audio(span)] = out.heard() else { panic!("{:?}", out.heard()) };
        assert_eq!(out.audio(span), [1, 2, 3]);
        assert_eq!(out.messages().count(), 0);
    }
}
