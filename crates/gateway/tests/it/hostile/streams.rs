//! Connections that say nothing, nothing sensible, half of something, one octet at a time, or too much.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use super::attack::{Chance, connect, inputs, read, send};
use super::victim::Doors;

/// SIP over TCP: noise, torture, half messages, lies about lengths, peers that never read.
pub fn on_sip(doors: &Doors, until: Instant) {
    let options = "OPTIONS sip:echo@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n\
                   To: <sip:echo@127.0.0.1>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n";
    let mut attacks = inputs("crates/sip/tests/data/rfc4475");
    attacks.extend([
        format!("{options}Content-Length: 99999999\r\n\r\n").into_bytes(),
        format!("{options}Content-Length: -1\r\n\r\n").into_bytes(),
        format!("{options}Content-Length: 60000\r\n\r\nhalf").into_bytes(),
        format!("{options}{}", "X: y\r\n".repeat(20_000)).into_bytes(),
        format!("{options}Subject: {}", "x".repeat(100_000)).into_bytes(),
        format!("{options}Content-Length: 0\r\n\r\n").repeat(500).into_bytes(),
        "\r\n\r\n".repeat(10_000).into_bytes(),
    ]);
    assail(doors.sip_tcp, &attacks, options.as_bytes(), until);
}

/// HTTP: noise, broken requests and upgrades, endless headers, bodies that never come.
pub fn on_http(doors: &Doors, until: Instant) {
    let get = "GET /ws HTTP/1.1\r\nHost: a\r\n";
    let upgrade = format!("{get}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n");
    let attacks: Vec<Vec<u8>> = [
        "GET".to_owned(),
        "\r\n".repeat(50_000),
        "GET / HTTP/9.9\r\n\r\n".to_owned(),
        "BREW /\0 HTTP/1.1\r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "%00/..".repeat(4_000)),
        format!("{get}X: {}\r\n\r\n", "x".repeat(100_000)),
        format!("{get}{}\r\n", "X: y\r\n".repeat(20_000)),
        "POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n{".to_owned(),
        "POST /ws HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffff\r\nx".to_owned(),
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
        format!("{upgrade}\r\n"),
        format!("{upgrade}Sec-WebSocket-Key: {}\r\n\r\n", "k".repeat(9_000)),
        "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(300),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0".to_owned(),
    ]
    .map(String::into_bytes)
    .into();
    assail(doors.http, &attacks, get.as_bytes(), until);
}

/// Holds silent and slow connections open while one after the other attacks.
fn assail(door: SocketAddr, attacks: &[Vec<u8>], beginning: &[u8], until: Instant) {
    let mut chance = Chance::new();
    let _silent: Vec<TcpStream> = (0..CONNECTIONS_EACH).filter_map(|_| connect(door)).collect();
    let mut slow: Vec<TcpStream> = (0..CONNECTIONS_EACH).filter_map(|_| connect(door)).collect();
    assert!(!slow.is_empty(), "nobody is let in");
    let mut round = 0;
    while Instant::now() < until || round < attacks.len() {
        let attack = &attacks[round % attacks.len()];
        for bytes in [attack.clone(), chance.damage(attack), chance.bytes(round % 3_000)] {
            // Some go away before they could be answered.
            if let Some(mut stream) = connect(door) {
                send(&mut stream, &bytes);
            }
        }
        let octet = beginning[round % beginning.len()];
        slow.retain_mut(|stream| stream.write_all(&[octet]).is_ok());
        if let Some(stream) = slow.first_mut() {
            read(stream);
        }
        round += 1;
        assert!(
            Instant::now() < until + std::time::Duration::from_secs(10),
            "the door is stuck in round {round}"
        );
    }
}

const CONNECTIONS_EACH: usize = 100;
