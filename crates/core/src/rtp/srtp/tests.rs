//! The standards' examples, and what must hold for every suite.

use super::keyed::{Header, Keyed};
use super::transform::{Kind, Place, Transform};
use super::*;
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

fn master(suite: SrtpSuite, key_and_salt: &str) -> MasterKey {
    MasterKey::new(suite, &hex(key_and_salt)).unwrap()
}

fn key(suite: SrtpSuite, byte: u8) -> MasterKey {
    let bytes: Vec<u8> =
        (0..suite.master_bytes()).map(|n| byte.wrapping_mul(31).wrapping_add(n as u8)).collect();
    MasterKey::new(suite, &bytes).unwrap()
}

fn keys(suite: SrtpSuite, ours: u8, theirs: u8) -> Arc<SrtpKeys> {
    Arc::new(SrtpKeys { ours: key(suite, ours), theirs: key(suite, theirs), their_mki: None })
}

/// Two ends of one session.
fn pair(suite: SrtpSuite) -> (SrtpSession, SrtpSession) {
    (SrtpSession::new(keys(suite, 1, 2)), SrtpSession::new(keys(suite, 2, 1)))
}

fn packet(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut bytes = vec![0x80, 0];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 160]);
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend((0..160u8).map(|n| n ^ sequence as u8));
    bytes
}

fn report(ssrc: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 201, 0, 1];
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes.extend_from_slice(&[0x81, 202, 0, 3, 1, 2, 3, 4, 1, 2, b'p', b'c', 0, 0, 0, 0]);
    bytes
}

fn protected(session: &mut SrtpSession, mut packet: Vec<u8>) -> Vec<u8> {
    session.protect(&mut packet);
    packet
}

/// RFC 3711 appendix B.2: the keystream of AES-128 in counter mode.
#[test]
fn the_keystream_is_that_of_the_standard() {
    // The derivation from a master key is the same cipher with the same initial vector.
    let suite = SrtpSuite::AesCm128Sha1Tag80;
    let derived = hex("C61E7A93744F39EE10734AFE3FF7A087 30CBBC08863D8C85D49DB34A9AE1");
    let transform = Transform::derive(
        &master(suite, "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6"),
        Kind::Rtp,
    );
    let reference = Transform::with_session_keys(suite, &derived, Kind::Rtp);
    let (mut one, mut other) = ([0; 64], [0; 64]);
    let place = Place { ssrc: 0xCAFE_BABE, index: 0x1234 };
    transform.apply_counter(place, &mut one);
    reference.apply_counter(place, &mut other);
    assert_eq!(one, other, "RFC 3711 appendix B.3");
    let reference = Transform::with_session_keys(
        suite,
        &hex("2B7E151628AED2A6ABF7158809CF4F3C F0F1F2F3F4F5F6F7F8F9FAFBFCFD"),
        Kind::Rtp,
    );
    let mut stream = [0; 48];
    reference.apply_counter(Place { ssrc: 0, index: 0 }, &mut stream);
    let expected =
        "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
    assert_eq!(stream.to_vec(), hex(expected), "RFC 3711 appendix B.2");
}

/// RFC 6188 §7.2 and §7.1.
#[test]
fn the_keys_of_aes_256_are_derived_as_the_standard_says() {
    let suite = SrtpSuite::AesCm256Sha1Tag80;
    let transform = Transform::derive(
        &master(
            suite,
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6 3b04803de51ee7c96423ab5b78d2",
        ),
        Kind::Rtp,
    );
    let reference = Transform::with_session_keys(
        suite,
        &hex("5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4 fa31791685ca444a9e07c6c64e93"),
        Kind::Rtp,
    );
    let (mut one, mut other) = ([0; 64], [0; 64]);
    let place = Place { ssrc: 7, index: 70_000 };
    transform.apply_counter(place, &mut one);
    reference.apply_counter(place, &mut other);
    assert_eq!(one, other);
    let reference = Transform::with_session_keys(
        suite,
        &hex("57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98 f0f1f2f3f4f5f6f7f8f9fafbfcfd"),
        Kind::Rtp,
    );
    let mut stream = [0; 48];
    reference.apply_counter(Place { ssrc: 0, index: 0 }, &mut stream);
    let expected =
        "92bdd28a93c3f52511c677d08b5515a4 9da71b2378a854f67050756ded165bac 63c4868b7096d88421b563b8c94c9a31";
    assert_eq!(stream.to_vec(), hex(expected));
}

/// The packets that implementations compare themselves by: the keys of RFC 3711 appendix B.3, tags of 80 bits.
#[test]
fn known_packets_are_protected_and_read() {
    let master =
        master(SrtpSuite::AesCm128Sha1Tag80, "E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
    let keyed = Keyed::new(&master, None);
    let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
    let expected = "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb";
    let header = Header::of(&plain).unwrap();
    let mut packet = plain.clone();
    keyed.seal_rtp(header, 0x1234, &mut packet);
    assert_eq!(packet, hex(expected));
    let mut read = Vec::new();
    assert!(keyed.open_rtp(header, 0x1234, &packet, &mut read));
    assert_eq!(read, plain);

    let plain = hex("81c8000bcafebabe abababababababababababababababab");
    let expected = "81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798";
    let mut packet = plain.clone();
    keyed.seal_rtcp(0xCAFE_BABE, 1, &mut packet);
    assert_eq!(packet, hex(expected));
    assert_eq!(keyed.open_rtcp(0xCAFE_BABE, &packet, &mut read), Some(1));
    assert_eq!(read, plain);
}

/// RFC 7714 §16.1, §16.2 and §17.1: session keys, one packet of RTP and one of RTCP.
#[test]
fn galois_counter_mode_is_that_of_the_standard() {
    let plain = hex(
        "8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573",
    );
    let salt = "517569642070726f2071756f";
    let long = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    let of = |suite, key: &str| Transform::with_session_keys(suite, &hex(&format!("{key}{salt}")), Kind::Rtp);
    let place = Place { ssrc: 0x5501_A0B2, index: 0xF17B };
    for (suite, key, expected) in [
        (
            SrtpSuite::AeadAes128Gcm,
            &long[..32],
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833
             899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            SrtpSuite::AeadAes256Gcm,
            long,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b
             7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ] {
        let transform = of(suite, key);
        let (clear, body) = plain.split_at(12);
        let mut sealed = body.to_vec();
        let tag = transform.seal(place, Kind::Rtp, clear, &mut sealed).unwrap();
        assert_eq!([sealed.as_slice(), &tag].concat(), hex(expected), "{suite:?}");
        assert!(transform.open(place, Kind::Rtp, clear, &mut sealed, &tag));
        assert_eq!(sealed, body);
    }
    let plain = hex(
        "81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef",
    );
    let expected =
        "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa458
                    96cf4d2fc5abf87245d9eade";
    let transform = of(SrtpSuite::AeadAes128Gcm, &long[..32]);
    let (clear, body) = plain.split_at(8);
    let data = [clear, &hex("800005d4")].concat();
    let mut sealed = body.to_vec();
    let place = Place { ssrc: 0x4D61_7273, index: 0x5D4 };
    let tag = transform.seal(place, Kind::Rtcp, &data, &mut sealed).unwrap();
    assert_eq!([sealed.as_slice(), &tag].concat(), hex(expected));
}

#[test]
fn every_suite_carries_packets_and_reports_both_ways() {
    for suite in SrtpSuite::ALL {
        assert_eq!(SrtpSuite::from_name(suite.name()), Some(suite));
        let (mut one, mut other) = pair(suite);
        for sequence in 65_500..65_600u32 {
            let plain = packet(7, sequence as u16);
            let sealed = protected(&mut one, plain.clone());
            assert_eq!(sealed.len(), plain.len() + suite.rtp_tag_bytes());
            assert_ne!(sealed[12..172], plain[12..]);
            assert_eq!(other.unprotect(&sealed), Some(&*plain), "{suite:?} {sequence}");
            let mut sealed = report(9);
            other.protect_rtcp(&mut sealed);
            assert_eq!(one.unprotect_rtcp(&sealed), Some(&*report(9)), "{suite:?}");
            assert_eq!(one.unprotect_rtcp(&sealed), None);
        }
        assert_eq!((one.counts().replayed, one.counts().auth_failed), (100, 0));
        assert_eq!(other.counts(), SrtpCounts::default());
    }
}

#[test]
fn a_packet_that_comes_again_is_heard_once_and_one_out_of_order_is_heard() {
    let (mut phone, mut ours) = pair(SrtpSuite::AesCm128Sha1Tag80);
    let sealed: Vec<_> =
        (65_534..65_540u32).map(|sequence| protected(&mut phone, packet(7, sequence as u16))).collect();
    for at in [1, 3, 0, 2, 5, 4] {
        assert!(ours.unprotect(&sealed[at]).is_some(), "{at}");
    }
    for again in &sealed {
        assert_eq!(ours.unprotect(again), None);
    }
    assert_eq!(ours.counts(), SrtpCounts { auth_failed: 0, replayed: 6 });
}

#[test]
fn whatever_is_changed_in_a_packet_makes_it_unheard() {
    for suite in SrtpSuite::ALL {
        let (mut phone, mut ours) = pair(suite);
        let sealed = protected(&mut phone, packet(7, 1));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 0x04;
            assert_eq!(ours.unprotect(&forged), None, "{suite:?}: byte {at}");
        }
        for length in 0..sealed.len() {
            assert_eq!(ours.unprotect(&sealed[..length]), None);
        }
        assert_eq!(ours.unprotect(&packet(7, 1)), None, "without protection");
        assert!(ours.unprotect(&sealed).is_some(), "forgeries leave no trace");
    }
}

#[test]
fn a_hundred_thousand_forged_sources_cost_no_memory_and_hurt_nobody() {
    let (mut phone, mut ours) = pair(SrtpSuite::AesCm128Sha1Tag80);
    assert!(ours.unprotect(&protected(&mut phone, packet(7, 1))).is_some());
    let mut forged = protected(&mut phone, packet(7, 2));
    for ssrc in 0..100_000u32 {
        forged[8..12].copy_from_slice(&(ssrc ^ 0xA5A5_0000).to_be_bytes());
        assert_eq!(ours.unprotect(&forged), None);
    }
    assert_eq!((ours.sources.len(), ours.sources.capacity() <= SRTP_SOURCES_MAX), (1, true));
    assert!(ours.unprotect(&protected(&mut phone, packet(7, 3))).is_some());
    assert_eq!(ours.counts().auth_failed, 100_000);
}

#[test]
fn a_phone_may_change_its_source_and_only_so_many_are_remembered() {
    let (mut phone, mut ours) = pair(SrtpSuite::AesCm128Sha1Tag80);
    for ssrc in 0..20 {
        let sealed = protected(&mut phone, packet(ssrc, 100));
        assert!(ours.unprotect(&sealed).is_some());
        assert_eq!(ours.unprotect(&sealed), None);
    }
    assert_eq!(ours.sources.len(), SRTP_SOURCES_MAX);
}

#[test]
fn the_same_keys_go_on_and_new_ones_begin_with_what_is_under_way_still_heard() {
    let suite = SrtpSuite::AesCm128Sha1Tag80;
    let (mut phone, mut ours) = pair(suite);
    for sequence in 65_530..65_540u32 {
        assert!(ours.unprotect(&protected(&mut phone, packet(7, sequence as u16))).is_some());
    }
    assert_eq!(ours.rekey(keys(suite, 2, 1)), OurStream::GoesOn);
    assert!(ours.unprotect(&protected(&mut phone, packet(7, 4))).is_some(), "unchanged keys");
    let under_way = protected(&mut phone, packet(7, 5));
    assert_eq!(ours.rekey(keys(suite, 2, 3)), OurStream::GoesOn);
    assert!(ours.unprotect(&under_way).is_some());
    assert_eq!(ours.unprotect(&under_way), None, "once");
    // This end keeps its rollover counter, another begins it anew: both are understood.
    let stale = protected(&mut phone, packet(7, 6));
    assert_eq!(phone.rekey(keys(suite, 3, 2)), OurStream::BeginsAnew);
    phone.outbound.rtp = Some(65_536 + 6);
    assert!(ours.unprotect(&protected(&mut phone, packet(7, 7))).is_some());
    assert_eq!(ours.unprotect(&stale), None, "the old key is over");
    assert_eq!(ours.rekey(keys(suite, 2, 4)), OurStream::GoesOn);
    let mut anew = SrtpSession::new(keys(suite, 4, 2));
    assert!(ours.unprotect(&protected(&mut anew, packet(7, 8))).is_some());
    assert!(ours.unprotect(&protected(&mut anew, packet(7, 9))).is_some());
}

#[test]
fn a_phone_that_was_silent_under_one_key_is_heard_under_the_next() {
    let suite = SrtpSuite::AesCm128Sha1Tag80;
    let (mut phone, mut ours) = pair(suite);
    for sequence in 65_530..65_540u32 {
        assert!(ours.unprotect(&protected(&mut phone, packet(7, sequence as u16))).is_some());
    }
    // A hold and its end, each with a key of its own; the phone's rollover counter stays.
    assert_eq!(ours.rekey(keys(suite, 2, 3)), OurStream::GoesOn);
    assert_eq!(ours.rekey(keys(suite, 2, 4)), OurStream::GoesOn);
    assert_eq!(phone.rekey(keys(suite, 4, 2)), OurStream::BeginsAnew);
    phone.outbound.rtp = Some(65_536 + 3);
    assert!(ours.unprotect(&protected(&mut phone, packet(7, 4))).is_some());
    assert!(ours.unprotect(&protected(&mut phone, packet(7, 5))).is_some());
}

#[test]
fn a_key_identifier_is_taken_off_and_another_one_is_not_ours() {
    for suite in [SrtpSuite::AesCm128Sha1Tag80, SrtpSuite::AeadAes128Gcm] {
        let mki = Some(Mki { value: 0x0102, length: 2 });
        let mut phone = SrtpSession::new(keys(suite, 1, 2));
        let mut ours =
            SrtpSession::new(Arc::new(SrtpKeys { their_mki: mki, ..(*keys(suite, 2, 1)).clone() }));
        let with_mki = |mut sealed: Vec<u8>, mki: [u8; 2]| {
            let at = if suite.is_aead() { sealed.len() } else { sealed.len() - suite.rtp_tag_bytes() };
            sealed.splice(at..at, mki);
            sealed
        };
        let sealed = protected(&mut phone, packet(7, 1));
        assert_eq!(ours.unprotect(&with_mki(sealed.clone(), [1, 3])), None);
        assert_eq!(ours.unprotect(&sealed), None);
        assert_eq!(ours.unprotect(&with_mki(sealed, [1, 2])), Some(&*packet(7, 1)));
        let mut sealed = report(7);
        phone.protect_rtcp(&mut sealed);
        assert_eq!(ours.unprotect_rtcp(&with_mki(sealed, [1, 2])), Some(&*report(7)), "{suite:?}");
    }
}

#[test]
fn keys_are_never_printed() {
    let session = SrtpSession::new(keys(SrtpSuite::AesCm256Sha1Tag80, 1, 2));
    let printed = format!("{session:?}");
    assert!(printed.contains("AES_256_CM_HMAC_SHA1_80, ***"), "{printed}");
    assert!(!printed.contains("31") && !printed.contains("62"), "{printed}");
    assert_eq!(MasterKey::new(SrtpSuite::AesCm128Sha1Tag80, &[0; 29]), None);
}

proptest! {
    #[test]
    fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200), suite in 0usize..6) {
        let mut session = SrtpSession::new(keys(SrtpSuite::ALL[suite], 1, 2));
        prop_assert_eq!(session.unprotect(&bytes), None);
        prop_assert_eq!(session.unprotect_rtcp(&bytes), None);
        prop_assert_eq!(session.counts().auth_failed, 2);
    }

    #[test]
    fn what_a_phone_sends_in_any_near_order_is_heard_once(
        start in any::<u16>(), jumps in proptest::collection::vec(0usize..60, 1..300)
    ) {
        let (mut phone, mut ours) = pair(SrtpSuite::AesCm128Sha1Tag32);
        let sealed: Vec<_> = (0..jumps.len())
            .map(|n| protected(&mut phone, packet(7, (start >> 1).wrapping_add(n as u16))))
            .collect();
        let mut order: Vec<usize> = (0..jumps.len()).collect();
        order.sort_by_key(|n| n + jumps[*n]);
        for (place, n) in order.iter().enumerate() {
            // RFC 3711 appendix A: the first packet decides the rollover counter.
            let heard = ours.unprotect(&sealed[*n]).is_some();
            prop_assert!(heard, "packet {} in place {}", n, place);
            prop_assert!(ours.unprotect(&sealed[*n]).is_none());
        }
    }
}
