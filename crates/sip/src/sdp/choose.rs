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
    /// The parameters under which we take it.
    pub fmtp: Option<String>,
    /// DTMF beside it: at the codec's clock if the peer has it there, because events share the audio's timestamps
    /// (RFC 4733 §2.2); else at 8000, which many phones use whatever the audio's clock.
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
    let events = &audio.telephone_events;
    let telephone_event = events.iter().find(|event| event.clock == codec.clock);
    let telephone_event =
        telephone_event.or_else(|| events.iter().find(|event| event.clock == 8_000)).cloned();
    let fmtp = preferences.get(preference).and_then(|ours| ours.fmtp.clone());
    Some(Choice { preference, codec: codec.clone(), fmtp, telephone_event })
}
