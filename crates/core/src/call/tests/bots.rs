//! Built-in bots for the tests.

use super::*;
use crate::dialect::{Capability, Dialect, Malformed, Out};
use crate::vocabulary::{CallCommand, CallEvent};

/// Returns what it hears.
pub(super) struct Echo;

impl Dialect for Echo {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        MediaFormat::PCMU_8K
    }

    fn encode(&mut self, _: &CallEvent, _: Moment, _: &mut Out<CallCommand>) {}

    fn encode_audio(&mut self, audio: &[u8], _: Moment, out: &mut Out<CallCommand>) {
        let heard = out.hear_audio(|to| {
            to.extend_from_slice(audio);
            Ok::<_, Malformed>(())
        });
        assert_eq!(heard, Ok(()));
    }

    fn decode(&mut self, _: Wire<'_>, _: Moment, _: &mut Out<CallCommand>) -> Result<(), Malformed> {
        Err(Malformed::NotJson)
    }

    fn capabilities(&self) -> &'static [Capability] {
        &[Capability::Clear, Capability::DigitsToBot]
    }
}
