//! What a caller and the other end agree on about audio: their description, our codecs and keys (RFC 3264, RFC 4568).

use std::net::SocketAddr;

use patchcord_core::media::g711::Law;
use patchcord_sip::sdp::{self, CodecSpec, Order, Sdes, SdpAudio};

/// What both ends agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Media {
    /// Where they want RTP.
    pub remote: SocketAddr,
    /// How audio is coded.
    pub law: Law,
    /// Its payload type.
    pub payload_type: u8,
    /// The payload type of telephone events, if they take them.
    pub events: Option<u8>,
    /// They do not want to hear us.
    pub held: bool,
}

/// What the answer to our offer agrees on, keys and codecs.
pub(super) fn take_answer(answer: &str, codecs: &[CodecSpec], sdes: &mut Sdes) -> Option<Media> {
    let (audio, key) = sdes.choose(&sdp::parse(answer).ok()?).ok()?;
    let media = agree(&audio, codecs)?;
    sdes.accept(key).ok()?;
    Some(media)
}

/// What audio agrees on with the codecs that we have.
pub(super) fn agree(audio: &SdpAudio, codecs: &[CodecSpec]) -> Option<Media> {
    let choice = sdp::choose(audio, codecs, Order::Theirs)?;
    Some(Media {
        remote: audio.media,
        law: if choice.codec.name.eq_ignore_ascii_case("PCMA") { Law::A } else { Law::Mu },
        payload_type: choice.codec.number,
        events: choice.telephone_event.filter(|event| event.clock == 8_000).map(|event| event.number),
        held: audio.is_hold(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::sdes;
    use patchcord_sip::sdp::Protection;

    fn answer(formats: &str, rest: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP {formats}\r\n{rest}"
        )
    }

    #[test]
    fn the_first_codec_of_the_answer_counts_and_events_come_along() {
        let codecs = [CodecSpec::new("PCMU", 8_000, 0), CodecSpec::new("PCMA", 8_000, 8)];
        let agree =
            |answer: &str, codecs: &[CodecSpec]| take_answer(answer, codecs, &mut sdes(Protection::Off));
        let media = agree(&answer("8 0 96", "a=rtpmap:96 telephone-event/8000\r\n"), &codecs).unwrap();
        assert_eq!((media.law, media.payload_type, media.events), (Law::A, 8, Some(96)));
        assert_eq!((media.remote, media.held), ("192.0.2.1:4000".parse().unwrap(), false));
        assert!(agree(&answer("0", "a=sendonly\r\n"), &codecs).unwrap().held);
        assert_eq!(agree(&answer("96", "a=rtpmap:96 opus/48000/2\r\n"), &codecs), None);
        assert_eq!(agree("hello", &codecs), None);
    }
}
