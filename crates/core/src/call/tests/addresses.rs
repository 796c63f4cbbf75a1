//! Where the phone's datagrams go.

use super::bots::Echo;
use super::*;

const ELSEWHERE: &str = "127.0.0.1:41000";

/// A call with that media; the targets of its RTP and of its RTCP, within 12 s and at its end.
fn targets(media: PhoneMedia, speaks_from: Option<&str>) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let identity = RtpIdentity { ssrc: 7, sequence: 1, timestamp: 0 };
    let phone = PhoneSettings::Sip { rtp: identity, media: Some(media), early_media: false };
    let mut desk = Desk::new(phone, built_in(Box::new(Echo)), Fallback::Sorry);
    let (mut rtp, mut rtcp) = (Vec::new(), Vec::new());
    let mut look = |call: &mut Call| {
        while let Some(output) = call.poll_output() {
            let (list, to) = match output {
                Output::Rtp { to, .. } => (&mut rtp, to),
                Output::Rtcp { to, .. } => (&mut rtcp, to),
                _ => continue,
            };
            if !list.contains(&to) {
                list.push(to);
            }
        }
    };
    if let Some(source) = speaks_from {
        let packet = [&[0x80, 0, 0, 1, 0, 0, 0, 160, 0, 0, 0, 99][..], &[0x20; 160]].concat();
        desk.call.handle(desk.now, Input::Rtp { source: source.parse().unwrap(), packet: &packet });
    }
    let end = desk.now + Duration::from_secs(12);
    while let Some(due) = desk.call.poll_timeout().filter(|due| *due <= end) {
        desk.now = desk.now.max(due);
        desk.call.handle_timeout(desk.now);
        look(&mut desk.call);
    }
    desk.call.handle(desk.now, Input::HangUp(Reason::Asked));
    look(&mut desk.call);
    (rtp, rtcp)
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn rtcp_goes_where_the_sdp_says_and_else_to_the_next_port() {
    let (rtp, rtcp) = targets(media(), None);
    assert_eq!((rtp, rtcp), (addresses(&[PHONE]), addresses(&["127.0.0.1:40001"])));
    let named = PhoneMedia { rtcp: Some("127.0.0.2:45000".parse().unwrap()), ..media() };
    let (rtp, rtcp) = targets(named, None);
    assert_eq!((rtp, rtcp), (addresses(&[PHONE]), addresses(&["127.0.0.2:45000"])));
}

#[test]
fn a_phone_that_speaks_from_elsewhere_gets_rtcp_beside_its_rtp() {
    let named = PhoneMedia {
        rtcp: Some("127.0.0.2:45000".parse().unwrap()),
        signalling: Some(phone().ip()),
        ..media()
    };
    let (rtp, rtcp) = targets(named, Some(ELSEWHERE));
    assert_eq!((rtp, rtcp), (addresses(&[ELSEWHERE]), addresses(&["127.0.0.1:41001"])));
}

#[test]
fn nothing_is_sent_to_an_address_that_is_none() {
    for nowhere in ["0.0.0.0:40000", "[::]:40000", "[::ffff:0.0.0.0]:40000", "127.0.0.1:0"] {
        let remote = nowhere.parse().unwrap();
        assert_eq!(targets(PhoneMedia { remote, ..media() }, None), (vec![], vec![]), "{nowhere}");
        let (rtp, rtcp) = targets(PhoneMedia { rtcp: Some(remote), ..media() }, None);
        assert_eq!((rtp, rtcp), (addresses(&[PHONE]), vec![]), "{nowhere}");
    }
}
