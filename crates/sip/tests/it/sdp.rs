//! Offer and answer: the laws for any bytes, and the descriptions that real phones send.

use patchcord_sip::sdp::{CodecSpec, Direction, LocalSession, Order, Session, choose, parse};
use proptest::prelude::*;

use crate::support::codecs;

fn local() -> LocalSession {
    LocalSession::new(1 << 20, "192.0.2.1:4000".parse().unwrap())
}

fn session(media: &str) -> Session {
    parse(&format!("v=0\r\no=- 1 7 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n{media}"))
        .unwrap()
}

fn answer_to(offer: &Session) -> String {
    let audio = offer.audio().unwrap();
    let choice = choose(&audio, &codecs(), Order::Ours).unwrap();
    local().answer(offer, &audio, &choice)
}

#[test]
fn the_first_acceptable_audio_is_answered_and_every_other_line_refused() {
    let offer = session(
        "m=video 5000 RTP/AVP 31\r\nm=audio 0 RTP/AVP 0\r\nm=audio 5002 RTP/SAVP 0\r\n\
         m=audio 5004 RTP/AVP 8 0 97\r\na=rtpmap:97 telephone-event/8000\r\na=ptime:30\r\nm=audio 5006 RTP/AVP 0\r\n",
    );
    let answer = answer_to(&offer);
    let lines: Vec<&str> = answer.lines().filter(|l| l.starts_with("m=")).collect();
    assert_eq!(
        lines,
        [
            "m=video 0 RTP/AVP 31",
            "m=audio 0 RTP/AVP 0",
            "m=audio 0 RTP/SAVP 0",
            "m=audio 4000 RTP/AVP 0 97",
            "m=audio 0 RTP/AVP 0"
        ]
    );
    assert!(answer.contains("a=ptime:30\r\n") && answer.contains("a=rtpmap:97 telephone-event/8000\r\n"));
}

#[test]
fn hold_is_read_in_all_its_forms_and_mirrored() {
    for (media, direction, answered) in [
        ("m=audio 5000 RTP/AVP 0\r\na=sendonly\r\n", Direction::SendOnly, "a=recvonly"),
        ("m=audio 5000 RTP/AVP 0\r\na=inactive\r\n", Direction::Inactive, "a=inactive"),
        ("m=audio 5000 RTP/AVP 0\r\na=recvonly\r\n", Direction::RecvOnly, "a=sendonly"),
        ("m=audio 5000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n", Direction::SendOnly, "a=recvonly"),
        ("a=inactive\r\nm=audio 5000 RTP/AVP 0\r\n", Direction::Inactive, "a=inactive"),
        ("m=audio 5000 RTP/AVP 0\r\n", Direction::SendRecv, "a=sendrecv"),
    ] {
        let offer = session(media);
        assert_eq!(offer.audio().unwrap().direction, direction, "{media}");
        assert!(answer_to(&offer).contains(answered), "{media}");
    }
}

#[test]
fn addresses_ports_and_packet_lengths_are_read_where_they_stand() {
    let offer = session(
        "m=audio 5000/2 RTP/AVP 0\r\nc=IN IP6 2001:db8::1\r\na=rtcp:6001\r\na=ptime:20.0\r\na=maxptime:15\r\n",
    );
    let audio = offer.audio().unwrap();
    assert_eq!(audio.media, "[2001:db8::1]:5000".parse().unwrap());
    assert_eq!((audio.rtcp.port(), audio.packet_ms()), (6001, 10));
    assert!(session("m=audio 5000 RTP/AVP 0\r\nc=IN IP4 phone.example.com\r\n").audio().is_none());
    assert!(
        session("m=audio 5000 RTP/AVP 13 101\r\na=rtpmap:101 telephone-event/8000\r\n").audio().is_none()
    );
    assert!(parse("INVITE").is_err() && parse("v=0\r\nnonsense\r\n").is_err());
}

#[test]
fn the_codec_is_chosen_in_the_order_asked_for_with_dtmf_at_its_clock() {
    let mut ours = codecs();
    ours.insert(0, CodecSpec { channels: 2, ..CodecSpec::new("opus", 48_000, 111) });
    let offer = session(
        "m=audio 5000 RTP/AVP 8 0 96 101 102\r\na=rtpmap:96 OPUS/48000/2\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=rtpmap:102 telephone-event/48000\r\n",
    );
    let audio = offer.audio().unwrap();
    let mine = choose(&audio, &ours, Order::Ours).unwrap();
    assert_eq!((mine.codec.number, mine.telephone_event.unwrap().number), (96, 102));
    let theirs = choose(&audio, &ours, Order::Theirs).unwrap();
    assert_eq!((theirs.codec.number, theirs.preference, theirs.telephone_event.unwrap().number), (8, 2, 101));
    assert_eq!(choose(&audio, &[CodecSpec::new("G722", 8000, 9)], Order::Ours), None);
}

#[test]
fn a_phone_with_a_wide_codec_and_events_at_the_narrow_clock_keeps_its_digits() {
    let ours = [CodecSpec {
        channels: 2,
        fmtp: Some("useinbandfec=1".to_owned()),
        ..CodecSpec::new("opus", 48_000, 111)
    }];
    let offer = session(
        "m=audio 5000 RTP/AVP 98 101\r\na=rtpmap:98 opus/48000/2\r\na=fmtp:98 stereo=1;sprop-stereo=1\r\n\
         a=rtpmap:101 telephone-event/8000\r\n",
    );
    let audio = offer.audio().unwrap();
    let choice = choose(&audio, &ours, Order::Ours).unwrap();
    let answer = local().answer(&offer, &audio, &choice);
    assert!(answer.contains("m=audio 4000 RTP/AVP 98 101\r\na=rtpmap:98 opus/48000/2\r\n"), "{answer}");
    // What a description says of a codec is about its writer's ears: theirs is not echoed.
    assert!(answer.contains("a=fmtp:98 useinbandfec=1\r\n") && !answer.contains("stereo"), "{answer}");
    assert!(answer.contains("a=rtpmap:101 telephone-event/8000\r\n"), "{answer}");
}

#[test]
fn events_at_a_clock_that_only_a_wide_codec_has_are_not_answered_with_a_narrow_one() {
    let offer = session("m=audio 5000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/48000\r\n");
    let choice = choose(&offer.audio().unwrap(), &codecs(), Order::Ours).unwrap();
    assert_eq!((choice.codec.number, choice.telephone_event), (8, None));
    let answer = answer_to(&offer);
    assert!(answer.contains("m=audio 4000 RTP/AVP 8\r\n") && !answer.contains("telephone-event"), "{answer}");
}

#[test]
fn rtcp_goes_where_the_description_says() {
    for (attribute, rtcp) in [
        ("", "192.0.2.9:5001"),
        ("a=rtcp:6001\r\n", "192.0.2.9:6001"),
        ("a=rtcp:6001 IN IP4 192.0.2.77\r\n", "192.0.2.77:6001"),
        ("a=rtcp:6001 IN IP4 rtcp.example.com\r\n", "192.0.2.9:6001"),
        ("a=rtcp:0\r\n", "192.0.2.9:5001"),
        ("a=rtcp:70000 IN IP4 192.0.2.77\r\n", "192.0.2.9:5001"),
    ] {
        let offer = session(&format!("m=audio 5000 RTP/AVP 0\r\n{attribute}"));
        assert_eq!(offer.audio().unwrap().rtcp, rtcp.parse().unwrap(), "{attribute}");
    }
}

#[test]
fn the_version_rises_only_when_the_description_changes() {
    let mut local = local();
    let versions: Vec<u64> =
        [Direction::SendRecv, Direction::SendRecv, Direction::SendOnly, Direction::SendRecv]
            .into_iter()
            .map(|direction| parse(&local.offer(&codecs(), 20, direction)).unwrap().version)
            .collect();
    assert_eq!(versions.iter().map(|v| v - versions[0]).collect::<Vec<_>>(), [0, 0, 1, 2]);
}

fn any_codecs() -> impl Strategy<Value = Vec<CodecSpec>> {
    let codec = ("[A-Za-z0-9-]{1,8}", prop::sample::select(vec![8000u32, 16_000, 48_000]), 0u8..128, 1u8..3);
    let spec = codec.prop_map(|(name, clock, number, channels)| CodecSpec {
        channels,
        ..CodecSpec::new(&name, clock, number)
    });
    prop::collection::vec(spec, 1..6).prop_map(|mut list| {
        list.retain(|c| !c.name.eq_ignore_ascii_case("telephone-event") && c.name != "CN");
        list.dedup_by_key(|c| c.payload_type);
        let mut seen = std::collections::HashSet::new();
        list.retain(|c| seen.insert(c.payload_type));
        list.push(CodecSpec::new("PCMU", 8000, if seen.contains(&0) { 127 } else { 0 }));
        let mut seen = std::collections::HashSet::new();
        list.retain(|c| seen.insert(c.payload_type));
        list
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Ok(session) = parse(&format!("v=0\r\n{text}"))
            && let Some(audio) = session.audio() {
                let _free_of_panic = choose(&audio, &codecs(), Order::Ours);
            }
    }

    #[test]
    fn any_lines_that_look_like_sdp_are_answered_or_refused(
        lines in prop::collection::vec("[vosctmab]=[ -~]{0,40}|m=audio [0-9]{1,6} RTP/AVP( [0-9]{1,3}){1,8}|a=rtpmap:[0-9]{1,3} [A-Z]{1,5}/[0-9]{1,6}(/[0-9]{1,3})?|c=IN IP4 [0-9.]{7,15}", 0..30)
    ) {
        let text = format!("v=0\r\nc=IN IP4 192.0.2.4\r\n{}\r\n", lines.join("\r\n"));
        if let Ok(session) = parse(&text)
            && let Some(audio) = session.audio()
                && let Some(choice) = choose(&audio, &codecs(), Order::Ours) {
                    let answer = local().answer(&session, &audio, &choice);
                    let parsed = parse(&answer).unwrap();
                    prop_assert_eq!(parsed.media.len(), session.media.len());
                    prop_assert_eq!(parsed.audio().unwrap().direction, audio.direction.mirrored());
                }
    }

    #[test]
    fn the_answer_to_our_offer_is_our_codec(ours in any_codecs(), pick in 0usize..8, packet_ms in 1u32..7) {
        let offer = parse(&local().offer(&ours, packet_ms * 10, Direction::SendRecv)).unwrap();
        let audio = offer.audio().unwrap();
        prop_assert_eq!(audio.codecs.len(), ours.len());
        prop_assert_eq!(audio.packet_ms(), (packet_ms * 10).min(60));
        let theirs = [ours[pick % ours.len()].clone()];
        let choice = choose(&audio, &theirs, Order::Ours).unwrap();
        let answer = parse(&LocalSession::new(5, "[::1]:6000".parse().unwrap()).answer(&offer, &audio, &choice)).unwrap();
        let read = choose(&answer.audio().unwrap(), &ours, Order::Theirs).unwrap();
        prop_assert!(read.codec.is(&theirs[0]));
    }
}
