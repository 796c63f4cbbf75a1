//! Datagrams that are no SIP, almost SIP, or far too much of it; and RTP of strangers to every port of the range.

use std::time::Instant;

use super::attack::{Chance, breathe, datagrams, inputs};
use super::victim::Doors;

/// Noise, torture, damaged torture, and the largest datagram there is.
pub fn on_sip(doors: &Doors, until: Instant) {
    let (socket, mut chance) = (datagrams(), Chance::new());
    let torture = inputs("crates/sip/tests/data/rfc4475");
    let mut round = 0;
    while Instant::now() < until {
        let message = &torture[round % torture.len()];
        let mut largest = b"OPTIONS sip:a@b SIP/2.0\r\nVia: ".to_vec();
        largest.resize(65_507, b',');
        for bytes in [
            chance.bytes(round % 1_400),
            message.clone(),
            chance.damage(message),
            chance.damage(message),
            via_of_a_stranger(round),
            if round.is_multiple_of(16) { largest } else { Vec::new() },
        ] {
            // A full socket of our own is not what is looked for.
            let _sent = socket.send_to(&bytes, doors.sip);
        }
        breathe(&socket);
        round += 1;
    }
}

/// Noise, RTP and RTCP, to all ports where calls could be.
pub fn on_rtp(doors: &Doors, until: Instant) {
    let (socket, mut chance) = (datagrams(), Chance::new());
    let phone_like = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut round = 0;
    while Instant::now() < until {
        for port in doors.rtp.clone() {
            let mut packet = match round % 5 {
                0 => chance.bytes(round % 1_400),
                1 => vec![0x80, 0],
                2 => vec![0x9F, 101],
                3 => vec![0x81, 203, 0, 1],
                _ => vec![0x80, 200, 255, 255],
            };
            let length = chance.below(400);
            packet.extend(chance.bytes(length));
            let from = if round.is_multiple_of(3) { &phone_like } else { &socket };
            let _sent = from.send_to(&packet, (doors.sip.ip(), port));
        }
        breathe(&socket);
        round += 1;
    }
}

/// A request that would be answered to a name, if anybody looked names up for strangers.
fn via_of_a_stranger(round: usize) -> Vec<u8> {
    format!(
        "OPTIONS sip:echo@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP host-{round}.invalid;branch=z9hG4bK{round}\r\n\
         From: <sip:a@b>;tag={round}\r\nTo: <sip:echo@127.0.0.1>\r\nCall-ID: {round}\r\nCSeq: 1 OPTIONS\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    .into_bytes()
}
