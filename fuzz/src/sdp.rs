//! Session descriptions: any text is read or refused, and what is answered or offered can be read again.

use patchcord_sip::sdp::{
    CodecSpec, Direction, LocalSession, Order, Protection, Sdes, Session, SuiteSpec, choose, parse,
};

/// Reads the input as an offer, answers it twice, and reads the answers.
pub fn exercise(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(offer) = parse(text) else { return };
    keys(&offer);
    let Some(audio) = offer.audio() else { return };
    assert!((10..=60).contains(&audio.packet_ms()), "packets of {} ms", audio.packet_ms());
    let codecs = [CodecSpec::new("PCMU", 8_000, 0), CodecSpec::new("PCMA", 8_000, 8)];
    for order in [Order::Ours, Order::Theirs] {
        let Some(choice) = choose(&audio, &codecs, order) else { continue };
        let mut local = local();
        let answer = local.answer(&offer, &audio, &choice);
        assert_eq!(local.answer(&offer, &audio, &choice), answer, "the same answer is another version");
        let ours = read_again(&answer);
        assert_eq!(ours.media.len(), offer.media.len(), "RFC 3264 §6: {answer:?} to {text:?}");
        for (index, (ours, theirs)) in ours.media.iter().zip(&offer.media).enumerate() {
            assert!(ours.kind.eq_ignore_ascii_case(&theirs.kind), "{answer:?} to {text:?}");
            assert_eq!(ours.port == 0, index != audio.index, "{answer:?}");
        }
        let taken = ours.audio().map(|taken| (taken.codecs, taken.direction));
        assert_eq!(taken.as_ref().map(|taken| taken.1), Some(audio.direction.mirrored()), "{answer:?}");
        let named = taken.iter().flat_map(|taken| &taken.0).all(|codec| codec.number == choice.codec.number);
        assert!(named, "{answer:?} does not take {:?}", choice.codec);
    }
    let direction = if audio.is_hold() { Direction::Inactive } else { Direction::SendRecv };
    assert!(read_again(&local().offer(&codecs, audio.packet_ms(), direction)).audio().is_some());
}

/// Whatever keys are offered: we answer with one of ours under a tag of theirs, or not at all, and the same offer
/// gets the same answer.
fn keys(offer: &Session) {
    for protection in [Protection::Off, Protection::Optional, Protection::Required] {
        let mut sdes = Sdes::new(protection, SUITES, |key| {
            key.fill(7);
            true
        });
        let Ok((audio, theirs)) = sdes.choose(offer) else { continue };
        assert!(theirs.is_some() || protection != Protection::Required, "no key where one is required");
        assert!(theirs.is_none() || protection != Protection::Off, "a key where none is wanted");
        let Some(choice) = choose(&audio, &[CodecSpec::new("PCMU", 8_000, 0)], Order::Ours) else { continue };
        let lines = sdes.answer(audio.profile, theirs.clone()).unwrap_or_default();
        assert_eq!(lines.first().map(|line| line.tag), theirs.as_ref().map(|theirs| theirs.tag));
        assert_eq!(sdes.answer(audio.profile, theirs.clone()).unwrap_or_default(), lines);
        let mut local = local();
        local.set_cryptos(audio.profile, lines.clone());
        let answer = read_again(&local.answer(offer, &audio, &choice));
        let ours = answer.audios().next();
        assert_eq!(ours.as_ref().map(|ours| ours.profile), Some(audio.profile));
        assert_eq!(ours.map(|ours| ours.cryptos), Some(lines), "what we wrote is not what we meant");
    }
}

fn local() -> LocalSession {
    LocalSession::new(1 << 20, ([192, 0, 2, 1], 4_000).into())
}

fn read_again(ours: &str) -> Session {
    let read = parse(ours);
    assert!(read.is_ok(), "we wrote {ours:?}, which is {read:?}");
    read.unwrap_or(Session { version: 0, media: Vec::new() })
}

const SUITES: &[SuiteSpec] = &[
    SuiteSpec { name: "AES_CM_128_HMAC_SHA1_80", key_octets: 30 },
    SuiteSpec { name: "AES_CM_128_HMAC_SHA1_32", key_octets: 30 },
];
