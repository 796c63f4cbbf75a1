//! What a call and its phone agree on about audio: SDP on one side, the core's media on the other (RFC 3264).

use std::net::SocketAddr;
use std::time::Duration;

use patchcord_core::call::{MediaDirection, PhoneMedia};
use patchcord_core::media::LineCodec;
use patchcord_core::vocabulary::{Cause, Reason};
use patchcord_sip::sdp::{
    self, Choice, CodecSpec, Direction, LocalSession, Order, Protection, Sdes, SdesFault, SdpAudio,
};

use super::exchange::random;
use crate::config::PhoneCodec;
use crate::net::{sdes, srtp_keys};

/// The session of one SIP leg.
#[derive(Debug)]
pub struct Session {
    local: LocalSession,
    codecs: Vec<CodecSpec>,
    line_codecs: Vec<LineCodec>,
    sdes: Sdes,
    /// Who signals, once that is known.
    signalling: Option<SocketAddr>,
    /// Where the phone took RTP and RTCP last, for a hold that names no address.
    last: Option<(SocketAddr, SocketAddr)>,
}

/// Why nothing was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionError {
    /// It is no SDP.
    Unreadable,
    /// No codec or transport in common.
    NothingInCommon,
    /// No keys that both want.
    Keys(SdesFault),
}

impl Session {
    /// A session that takes RTP at `rtp`, with our codecs, preferred first, protected or not.
    ///
    /// # Errors
    /// [`Reason::Internal`] when the system has no randomness to give.
    pub fn new(
        rtp: SocketAddr,
        signalling: Option<SocketAddr>,
        codecs: &[PhoneCodec],
        protection: Protection,
    ) -> Result<Self, Reason> {
        Ok(Self {
            local: LocalSession::new(u64::from_be_bytes(random()?), rtp),
            codecs: codecs.iter().map(|codec| spec(*codec)).collect(),
            line_codecs: codecs.iter().map(|codec| line_codec(*codec)).collect(),
            sdes: sdes(protection),
            signalling,
            last: None,
        })
    }

    /// The same session, of a phone that turned out to be at `peer`.
    #[must_use]
    pub fn signalled_by(self, peer: SocketAddr) -> Self {
        Self { signalling: Some(peer), ..self }
    }

    /// Our offer.
    ///
    /// # Errors
    /// [`SessionError::Keys`] when the system has no randomness to give.
    pub fn offer(&mut self) -> Result<String, SessionError> {
        let (profile, lines) = self.sdes.offer()?;
        self.local.set_cryptos(profile, lines);
        Ok(self.local.offer(&self.codecs, PACKET_MS, Direction::SendRecv))
    }

    /// Answers the phone's offer.
    ///
    /// # Errors
    /// [`SessionError`]; the session stays as it was.
    pub fn answer(&mut self, offer: &str) -> Result<(PhoneMedia, String), SessionError> {
        let offered = sdp::parse(offer).map_err(|_| SessionError::Unreadable)?;
        let (audio, key) = self.sdes.choose(&offered)?;
        let (choice, mut media) = self.agree(&audio, Order::Ours)?;
        let lines = self.sdes.answer(audio.profile, key)?;
        media.srtp = srtp_keys(self.sdes.agreed());
        self.local.set_cryptos(audio.profile, lines);
        Ok((media, self.local.answer(&offered, &audio, &choice)))
    }

    /// Takes the phone's answer to our offer.
    ///
    /// # Errors
    /// [`SessionError`]; the session stays as it was.
    pub fn accept(&mut self, answer: &str) -> Result<PhoneMedia, SessionError> {
        let answered = sdp::parse(answer).map_err(|_| SessionError::Unreadable)?;
        let (audio, key) = self.sdes.choose(&answered)?;
        let (_, mut media) = self.agree(&audio, Order::Theirs)?;
        self.sdes.accept(key)?;
        media.srtp = srtp_keys(self.sdes.agreed());
        Ok(media)
    }

    fn agree(&mut self, audio: &SdpAudio, order: Order) -> Result<(Choice, PhoneMedia), SessionError> {
        let choice = sdp::choose(audio, &self.codecs, order).ok_or(SessionError::NothingInCommon)?;
        let codec = *self.line_codecs.get(choice.preference).ok_or(SessionError::NothingInCommon)?;
        let (remote, rtcp) = match self.last {
            Some(last) if audio.media.ip().is_unspecified() => last,
            _ => (self.on_their_link(audio.media), self.on_their_link(audio.rtcp)),
        };
        self.last = Some((remote, rtcp));
        let media = PhoneMedia {
            remote,
            rtcp: Some(rtcp),
            signalling: self.signalling.map(|peer| peer.ip()),
            codec,
            payload_type: choice.codec.number,
            telephone_event: choice.telephone_event.as_ref().map(|event| (event.number, event.clock)),
            ptime: Duration::from_millis(audio.packet_ms().into()),
            direction: ours(audio.direction),
            srtp: None,
        };
        Ok((choice, media))
    }
}

impl Session {
    /// A link-local address of theirs means something on the link that they signal by.
    fn on_their_link(&self, address: SocketAddr) -> SocketAddr {
        match (address, self.signalling) {
            (SocketAddr::V6(mut address), Some(SocketAddr::V6(peer)))
                if address.ip().is_unicast_link_local() =>
            {
                address.set_scope_id(peer.scope_id());
                address.into()
            }
            (address, _) => address,
        }
    }
}

impl SessionError {
    /// The call's reason.
    pub fn reason(self) -> Reason {
        match self {
            Self::Unreadable => Reason::BadOffer,
            Self::NothingInCommon | Self::Keys(SdesFault::NoAudio) => Reason::NoCommonCodec,
            Self::Keys(SdesFault::Required) => Reason::SrtpRequired,
            Self::Keys(SdesFault::NothingInCommon) => Reason::NoCommonSrtp,
            Self::Keys(SdesFault::NoRandomness) => Reason::Internal,
        }
    }

    /// The status that refuses a re-INVITE.
    pub fn status(self) -> u16 {
        Cause::new(self.reason()).row().sip_status
    }
}

impl From<SdesFault> for SessionError {
    fn from(fault: SdesFault) -> Self {
        Self::Keys(fault)
    }
}

/// The phone's direction, seen from us.
fn ours(theirs: Direction) -> MediaDirection {
    match theirs.mirrored() {
        Direction::SendRecv => MediaDirection::SendReceive,
        Direction::SendOnly => MediaDirection::SendOnly,
        Direction::RecvOnly => MediaDirection::ReceiveOnly,
        Direction::Inactive => MediaDirection::Inactive,
    }
}

fn spec(codec: PhoneCodec) -> CodecSpec {
    match codec {
        PhoneCodec::Pcmu => CodecSpec::new("PCMU", 8_000, 0),
        PhoneCodec::Pcma => CodecSpec::new("PCMA", 8_000, 8),
        PhoneCodec::G722 => CodecSpec::new("G722", 8_000, 9),
        // RFC 7587 §7: always two channels in the description. What we say of ourselves: mono, and that we hear
        // what a packet says of the one before it.
        PhoneCodec::Opus => CodecSpec {
            channels: 2,
            fmtp: Some("minptime=10;useinbandfec=1".to_owned()),
            ..CodecSpec::new("opus", 48_000, OPUS_PAYLOAD_TYPE)
        },
    }
}

fn line_codec(codec: PhoneCodec) -> LineCodec {
    match codec {
        PhoneCodec::Pcmu => LineCodec::Pcmu,
        PhoneCodec::Pcma => LineCodec::Pcma,
        PhoneCodec::G722 => LineCodec::G722,
        PhoneCodec::Opus => LineCodec::Opus,
    }
}

/// The dynamic payload type of Opus in our offers; in answers it is the phone's.
const OPUS_PAYLOAD_TYPE: u8 = 111;
/// Audio per packet that we offer, in milliseconds.
const PACKET_MS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(
            "192.0.2.1:20000".parse().unwrap(),
            "192.0.2.9:5060".parse().ok(),
            &[PhoneCodec::Pcmu, PhoneCodec::Pcma],
            Protection::Off,
        )
        .unwrap()
    }

    fn offer(address: &str, formats: &str, rest: &str) -> String {
        format!(
            "v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n\
             m=audio 4000 RTP/AVP {formats}\r\n{rest}"
        )
    }

    #[test]
    fn our_order_of_codecs_decides_and_digits_come_along() {
        let offer = offer("192.0.2.9", "8 0 101", "a=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n");
        let (media, answer) = session().answer(&offer).unwrap();
        assert_eq!((media.codec, media.payload_type), (LineCodec::Pcmu, 0));
        assert_eq!((media.telephone_event, media.ptime), (Some((101, 8_000)), Duration::from_millis(30)));
        assert_eq!(media.remote, "192.0.2.9:4000".parse().unwrap());
        assert_eq!(media.direction, MediaDirection::SendReceive);
        assert!(answer.contains("m=audio 20000 RTP/AVP 0 101\r\n"), "{answer}");
    }

    #[test]
    fn hold_by_direction_or_by_zero_address_keeps_the_place_to_come_back_to() {
        let mut session = session();
        session.answer(&offer("192.0.2.9", "0", "")).unwrap();
        let (held, answer) = session.answer(&offer("192.0.2.9", "0", "a=sendonly\r\n")).unwrap();
        assert_eq!(held.direction, MediaDirection::ReceiveOnly);
        assert!(answer.contains("a=recvonly"), "{answer}");
        let (held, _) = session.answer(&offer("0.0.0.0", "0", "")).unwrap();
        assert_eq!(held.direction, MediaDirection::ReceiveOnly);
        assert_eq!(held.remote, "192.0.2.9:4000".parse().unwrap());
    }

    #[test]
    fn rtcp_goes_where_the_phone_wants_it_also_after_a_hold_that_names_no_address() {
        let mut session = session();
        let (media, _) = session.answer(&offer("192.0.2.9", "0", "a=rtcp:4101\r\n")).unwrap();
        assert_eq!(media.rtcp, Some("192.0.2.9:4101".parse().unwrap()));
        let (held, _) = session.answer(&offer("0.0.0.0", "0", "")).unwrap();
        assert_eq!(held.rtcp, media.rtcp);
        let (media, _) = session.answer(&offer("192.0.2.9", "0", "")).unwrap();
        assert_eq!(media.rtcp, Some("192.0.2.9:4001".parse().unwrap()));
    }

    #[test]
    fn a_protected_phone_that_answers_its_own_session_anew_stays_protected() {
        let ours = "192.0.2.1:20000".parse().unwrap();
        let phone = "192.0.2.9:5060".parse().ok();
        let mut session = Session::new(ours, phone, &[PhoneCodec::Pcmu], Protection::Optional).unwrap();
        let key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n";
        let theirs = offer("192.0.2.9", "0", key).replace("RTP/AVP", "RTP/SAVP");
        let (media, _) = session.answer(&theirs).unwrap();
        // A refresh of ours repeats our answer as an offer.
        assert_eq!(session.accept(&theirs).unwrap().srtp, media.srtp);
        assert!(session.offer().unwrap().contains("RTP/SAVP 0"), "an offer asked for keeps the transport");
    }

    #[test]
    fn no_common_codec_and_no_sdp_are_told_apart() {
        let refused = session().answer(&offer("192.0.2.9", "96", "a=rtpmap:96 iLBC/8000\r\n")).unwrap_err();
        assert_eq!((refused.reason(), refused.status()), (Reason::NoCommonCodec, 488));
        let refused = session().answer("hello").unwrap_err();
        assert_eq!((refused.reason(), refused.status()), (Reason::BadOffer, 400));
    }

    #[test]
    fn the_answer_to_our_offer_decides_the_codec() {
        let mut session = session();
        let ours = session.offer().unwrap();
        assert!(ours.contains("m=audio 20000 RTP/AVP 0 8"), "{ours}");
        let media = session.accept(&offer("192.0.2.9", "8", "")).unwrap();
        assert_eq!((media.codec, media.payload_type), (LineCodec::Pcma, 8));
    }

    #[test]
    fn wideband_is_offered_and_taken_with_its_own_clocks() {
        let codecs = [PhoneCodec::Opus, PhoneCodec::G722, PhoneCodec::Pcmu];
        let ours = "192.0.2.1:20000".parse().unwrap();
        let mut session =
            Session::new(ours, "192.0.2.9:5060".parse().ok(), &codecs, Protection::Off).unwrap();
        let text = session.offer().unwrap();
        for line in [
            "m=audio 20000 RTP/AVP 111 9 0 101 96\r\n",
            "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 minptime=10;useinbandfec=1\r\n",
            "a=rtpmap:9 G722/8000\r\n",
            "a=rtpmap:101 telephone-event/48000\r\n",
            "a=rtpmap:96 telephone-event/8000\r\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        let opus = "a=rtpmap:98 OPUS/48000/2\r\na=rtpmap:99 telephone-event/48000\r\n";
        let (media, _) = session.answer(&offer("192.0.2.9", "0 9 98 99", opus)).unwrap();
        assert_eq!((media.codec, media.payload_type), (LineCodec::Opus, 98));
        assert_eq!(media.telephone_event, Some((99, 48_000)));
        let (media, _) = session.answer(&offer("192.0.2.9", "0 9", "")).unwrap();
        assert_eq!((media.codec, media.payload_type), (LineCodec::G722, 9));
    }
}
