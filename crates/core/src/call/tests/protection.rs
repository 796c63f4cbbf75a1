//! Calls whose packets are protected.

use super::bots::Echo;
use super::*;
use crate::rtp::{MasterKey, SrtpKeys, SrtpSession, SrtpSuite};

fn keys(ours: u8, theirs: u8) -> Arc<SrtpKeys> {
    let suite = SrtpSuite::AesCm128Sha1Tag80;
    let key = |byte| MasterKey::new(suite, &[byte; 30]).unwrap();
    Arc::new(SrtpKeys { ours: key(ours), theirs: key(theirs), their_mki: None })
}

/// A protected call with an echo that is answered, and the phone's half of the protection.
fn protected() -> (Desk, SrtpSession) {
    let media = PhoneMedia { srtp: Some(keys(1, 2)), ..media() };
    let rtp = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
    let phone = PhoneSettings::Sip { rtp, media: Some(media), early_media: false };
    (Desk::new(phone, built_in(Box::new(Echo)), Fallback::Sorry), SrtpSession::new(keys(2, 1)))
}

/// What the phone sends in its frame of that number.
fn packet(number: u16) -> Vec<u8> {
    let header = [0x80, 0, (number >> 8) as u8, number as u8];
    let timestamp = (u32::from(number) * 160).to_be_bytes();
    [&header[..], &timestamp, &99u32.to_be_bytes(), &[0x20; 160]].concat()
}

/// The phone speaks for so many frames and hears what it can read; the packets it could not read are counted.
fn talk(desk: &mut Desk, phone: &mut SrtpSession, numbers: std::ops::Range<u16>) -> (usize, usize) {
    for number in numbers {
        let mut sealed = packet(number);
        phone.protect(&mut sealed);
        desk.input(Input::Rtp { source: super::phone(), packet: &sealed });
        desk.pass(FRAME);
    }
    let (mut echoes, mut unread) = (0, 0);
    for (_, seen) in std::mem::take(&mut desk.seen) {
        match seen {
            Seen::Rtp(packet) => match phone.unprotect(&packet) {
                Some(plain) => echoes += usize::from(plain[12..] == [0x20; 160]),
                None => unread += 1,
            },
            Seen::Rtcp(packet) => unread += usize::from(phone.unprotect_rtcp(&packet).is_none()),
            _ => {}
        }
    }
    (echoes, unread)
}

#[test]
fn a_protected_phone_hears_itself_and_reports_are_protected_too() {
    let (mut desk, mut phone) = protected();
    let (echoes, unread) = talk(&mut desk, &mut phone, 1..400);
    assert!(echoes > 390 && unread == 0, "{echoes} echoes, {unread} unread");
    let counters = desk.call.counters();
    assert_eq!((counters.srtp_auth_failed, counters.srtp_replayed), (0, 0));
    desk.input(Input::HangUp(Reason::Asked));
    let goodbye = desk.seen.iter().find_map(|(_, seen)| match seen {
        Seen::Rtcp(packet) => phone.unprotect_rtcp(packet).map(<[u8]>::to_vec),
        _ => None,
    });
    assert!(goodbye.is_some(), "our goodbye is protected as well");
}

#[test]
fn packets_without_protection_and_repeated_ones_are_dropped_and_counted() {
    let (mut desk, mut phone) = protected();
    talk(&mut desk, &mut phone, 1..10);
    let heard = desk.call.counters().rtp_received;
    let mut again = packet(10);
    phone.protect(&mut again);
    desk.input(Input::Rtp { source: super::phone(), packet: &again });
    desk.input(Input::Rtp { source: super::phone(), packet: &again });
    desk.input(Input::Rtp { source: super::phone(), packet: &packet(11) });
    desk.input(Input::Rtp { source: "203.0.113.9:9".parse().unwrap(), packet: &again });
    desk.input(Input::Rtcp { source: super::phone(), packet: &[0x80, 201, 0, 1, 0, 0, 0, 99] });
    let counters = desk.call.counters();
    assert_eq!(counters.rtp_received, heard + 1);
    assert_eq!((counters.srtp_auth_failed, counters.srtp_replayed, counters.rtp_strangers), (2, 1, 1));
}

#[test]
fn keys_may_stay_change_and_go_away_within_a_call() {
    let (mut desk, mut phone) = protected();
    talk(&mut desk, &mut phone, 1..50);
    desk.input(Input::PhoneMedia(PhoneMedia { srtp: Some(keys(1, 2)), ..media() }));
    assert_eq!(talk(&mut desk, &mut phone, 50..100).1, 0, "the same keys");
    desk.input(Input::PhoneMedia(PhoneMedia { srtp: Some(keys(3, 4)), ..media() }));
    let _ = phone.rekey(keys(4, 3));
    let (echoes, unread) = talk(&mut desk, &mut phone, 100..150);
    assert!(echoes > 45 && unread == 0, "{echoes} echoes, {unread} unread under new keys");
    desk.input(Input::Rtp { source: super::phone(), packet: &packet(200) });
    desk.input(Input::PhoneMedia(media()));
    let (echoes, unread) = talk(&mut desk, &mut phone, 150..160);
    assert!(echoes == 0 && unread > 8, "nothing is protected any longer");
    assert_eq!(desk.call.counters().srtp_auth_failed, 1, "what was counted stays counted");
}

#[test]
fn a_call_without_protection_holds_nothing_for_it() {
    assert_eq!(size_of::<Option<Box<SrtpSession>>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Arc<SrtpKeys>>>(), size_of::<usize>());
}
