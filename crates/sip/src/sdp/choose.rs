//! The one codec of a call out of what both sides have.

use super::{CodecSpec, PayloadType, SdpAudio};

/// Whose order decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Our preference: for answering an offer.
    Ours,
    /// The peer's: for reading an answer, whose first codec is the one it will send.
    Theirs,
}

/// What was chosen, with the peer's payload type numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which of our codecs it is.
    pub preference: usize,
    /// The codec.
    pub codec: PayloadType,
    /// DTMF beside it, if the peer has it at the codec's clock: events share the audio's timestamps
    /// (RFC 4733 §2.2).
    pub telephone_event: Option<PayloadType>,
}

/// Chooses a codec. `None` when there is none in common: answer 488.
pub fn choose(audio: &SdpAudio, preferences: &[CodecSpec], order: Order) -> Option<Choice> {
    let theirs_of = |(preference, ours): (usize, &CodecSpec)| {
        audio.codecs.iter().find(|theirs| theirs.is(ours)).map(|codec| (preference, codec))
    };
    let (preference, codec) = match order {
        Order::Ours => preferences.iter().enumerate().find_map(theirs_of),
        Order::Theirs => audio
            .codecs
            .iter()
            .find_map(|theirs| preferences.iter().position(|ours| theirs.is(ours)).map(|at| (at, theirs))),
    }?;
    let telephone_event = audio.telephone_events.iter().find(|event| event.clock == codec.clock).cloned();
    Some(Choice { preference, codec: codec.clone(), telephone_event })
}
