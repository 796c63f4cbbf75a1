//! Vendors that break RFC 6455, JSON, or the dialect of the door they came to.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::attack::{Chance, connect, inputs, read, send};
use super::victim::Doors;

/// Every attack on every door for vendors, again and again.
pub fn on_all(doors: &Doors, until: Instant) {
    let mut chance = Chance::new();
    let mut places: Vec<(String, SocketAddr, String)> = doors
        .listeners
        .iter()
        .map(|(dialect, address)| (dialect.clone(), *address, "/".to_owned()))
        .collect();
    places.push(("ozonetel".to_owned(), doors.http, "/ws".to_owned()));
    places.push(("smartpbx".to_owned(), doors.http, "/ws/smartpbx/echo".to_owned()));
    let mut first = true;
    while first || Instant::now() < until {
        for (dialect, address, path) in &places {
            for bytes in attacks(&mut chance, End::Client).into_iter().chain([noise(
                dialect,
                &mut chance,
                End::Client,
            )]) {
                let mut stream = upgrade(*address, path);
                send(&mut stream, &bytes);
                read(&mut stream);
                if !first && Instant::now() > until {
                    return;
                }
                let late = Instant::now() > until + Duration::from_secs(10);
                assert!(!late, "the doors are stuck at {dialect}");
            }
        }
        first = false;
    }
}

/// Bytes behind an upgrade, each of them the end of a good vendor or bot.
pub fn attacks(chance: &mut Chance, end: End) -> Vec<Vec<u8>> {
    let (text, binary, ping, close) = (0x81, 0x82, 0x89, 0x88);
    let frame = |first: u8, payload: &[u8]| frame(first, payload, end);
    let deep = format!("{}{}", r#"{"event":"#, r#"{"a":["#.repeat(80_000));
    let claims_exabytes = [&[0x82, 0xFF][..], &[0x7F; 8], &[0; 4], &[1; 100]].concat();
    let other_end = match end {
        End::Client => End::Server,
        End::Server => End::Client,
    };
    let masked_wrongly = self::frame(0x81, b"hello", other_end);
    let fragments = [frame(0x01, b"{"), frame(0x00, b"").repeat(20_000)].concat();
    let heavy_fragments = [frame(0x02, b"x"), frame(0x00, &[b'x'; 60_000]).repeat(20)].concat();
    vec![
        chance.bytes(2_000),
        claims_exabytes,
        masked_wrongly,
        frame(0xF1, b"reserved bits"),
        frame(0x83, b"reserved opcode"),
        frame(0x80, b"continuation of nothing"),
        [frame(0x01, b"begun"), frame(text, b"and begun again")].concat(),
        fragments,
        heavy_fragments,
        frame(text, b"\xFF\xFE\xC0\x80"),
        frame(text, deep.as_bytes()),
        frame(text, &[b'['; 500_000]),
        frame(text, &[b' '; (1 << 20) + 1]),
        frame(binary, &chance.bytes((1 << 20) - 1)),
        frame(ping, &[0; 126]),
        frame(ping, b"ping").repeat(5_000),
        frame(close, &[0x03]),
        frame(close, &[0xFF, 0xFF]),
        [frame(close, &[0x03, 0xE8]), frame(text, b"after the end").repeat(100)].concat(),
        frame(text, &[b'x'; 60_000])[..30_000].to_vec(),
    ]
}

/// Every message of the dialect's inputs, right ones and wrong ones, some of them damaged.
pub fn noise(dialect: &str, chance: &mut Chance, end: End) -> Vec<u8> {
    let mut bytes = Vec::new();
    for input in inputs(&format!("fuzz/seeds/dialect_{}", dialect.replace('-', "_"))) {
        for line in input.split(|byte| *byte == b'\n') {
            bytes.extend(frame(if line.starts_with(b"~") { 0x82 } else { 0x81 }, line, end));
            if chance.below(4) == 0 {
                let damaged = String::from_utf8_lossy(&chance.damage(line)).into_owned();
                bytes.extend(frame(0x81, damaged.as_bytes(), end));
            }
        }
    }
    bytes
}

/// Who sends a frame: a client masks it, a server does not (RFC 6455 §5.1).
#[derive(Clone, Copy)]
pub enum End {
    Client,
    Server,
}

/// A frame (RFC 6455 §5.2) whose first byte is as given.
pub fn frame(first: u8, payload: &[u8], end: End) -> Vec<u8> {
    let (flag, mask): (u8, &[u8]) = match end {
        End::Client => (0x80, &[1, 2, 3, 4]),
        End::Server => (0, &[]),
    };
    let mut frame = vec![first];
    match payload.len() {
        short @ ..126 => frame.push(flag | short as u8),
        middle @ 126..=0xFFFF => {
            frame.push(flag | 126);
            frame.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            frame.push(flag | 127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(mask);
    let masks = mask.iter().copied().cycle().chain(std::iter::repeat(0));
    frame.extend(payload.iter().zip(masks).map(|(byte, mask)| byte ^ mask));
    frame
}

/// An upgraded connection. Panics where it is refused: the door has to stay open.
pub fn upgrade(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = connect(address).expect("a vendor is not let in");
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    let (mut answer, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(5));
    while !answer.ends_with(b"\r\n\r\n") && Instant::now() < deadline {
        let mut octet = [0];
        if stream.read(&mut octet).is_ok_and(|length| length == 1) {
            answer.push(octet[0]);
        }
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{path}: {}", String::from_utf8_lossy(&answer));
    stream
}
