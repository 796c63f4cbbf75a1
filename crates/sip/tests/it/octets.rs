//! Laws of the pure half: any octets are parsed, framed and judged; what we write is what we read.

use bytes::Bytes;
use patchcord_sip::frame::{Frame, Framer};
use patchcord_sip::message::parse;
use patchcord_sip::validate::{Verdict, judge};
use proptest::prelude::*;

use crate::floods::{Seeded, corpus, mutate};

#[test]
fn a_message_that_is_accepted_survives_being_written_and_read() {
    let (corpus, mut random) = (corpus(), Seeded(0x5EED_0002));
    let mut accepted = 0;
    for _ in 0..20_000 {
        let octets = Bytes::from(mutate(&mut random, &corpus));
        let first = parse(&octets, 256);
        if judge(&first) != Verdict::Accept {
            continue;
        }
        accepted += 1;
        let again = parse(&first.message.encode(), 257);
        assert_eq!(again.fault, None);
        let fields = |m: &patchcord_sip::message::Message| {
            let others = m.headers.iter().filter(|h| h.name() != "Content-Length");
            others.map(|h| (h.name().to_owned(), h.value.clone())).collect::<Vec<_>>()
        };
        assert_eq!(fields(&again.message), fields(&first.message));
        assert!(again.message.start == first.message.start && again.message.body == first.message.body);
        assert_eq!(judge(&again), Verdict::Accept);
    }
    assert!(accepted > 400, "the corpus still has good messages: {accepted}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_octets_are_parsed_and_judged(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        let parsed = parse(&Bytes::from(octets), 8);
        prop_assert!(parsed.message.headers.len() <= 8);
        let _verdict = judge(&parsed);
    }

    #[test]
    fn any_octets_are_framed_the_same_however_they_are_cut(
        octets in prop::collection::vec(prop::sample::select(b"\r\n\r\nl: 3\r\nOPTIONS x".to_vec()), 0..300),
        cuts in prop::collection::vec(1usize..40, 1..40),
    ) {
        let frames = |chunks: &[&[u8]]| {
            let mut framer = Framer::new(200);
            let mut out: Vec<Result<Frame, ()>> = Vec::new();
            for chunk in chunks {
                framer.push(chunk);
                loop {
                    match framer.next_frame() {
                        Ok(Some(frame)) => out.push(Ok(frame)),
                        Ok(None) => break,
                        Err(_) => {
                            out.push(Err(()));
                            return out;
                        }
                    }
                }
            }
            out
        };
        let mut chunks = Vec::new();
        let (mut rest, mut cuts) = (octets.as_slice(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (head, tail) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            chunks.push(head);
            rest = tail;
        }
        let whole = frames(&[octets.as_slice()]);
        let cut = frames(&chunks);
        // A too large message is found at another octet, so only what came before must agree.
        let good = |all: &[Result<Frame, ()>]| all.iter().filter_map(|f| f.clone().ok()).collect::<Vec<_>>();
        prop_assert_eq!(good(&whole), good(&cut));
    }
}
