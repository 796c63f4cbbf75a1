//! Bots that break RFC 6455, JSON, or the dialect that they were dialled in.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::attack::{Chance, read, send};
use super::victim::{DIALECTS, Doors};
use super::web_sockets::{End, attacks, frame, noise, upgrade};

/// Comes as a vendor that is joined to our own bot, and is that bot, for every attack in every dialect.
pub fn on_links(doors: &Doors, until: Instant) {
    let mut chance = Chance::new();
    doors.bots.set_nonblocking(true).unwrap();
    let mut first = true;
    while first || Instant::now() < until {
        for dialect in DIALECTS {
            for bytes in attacks(&mut chance, End::Server).into_iter().chain([noise(
                dialect,
                &mut chance,
                End::Server,
            )]) {
                let mut vendor = upgrade(doors.http, &format!("/ws/ozonetel/bad-{dialect}"));
                send(
                    &mut vendor,
                    &frame(0x81, br#"{"event":"start","ucid":"u","type":"text"}"#, End::Client),
                );
                let mut bot = accept(doors);
                send(&mut bot, &bytes);
                read(&mut vendor);
                if !first && Instant::now() > until {
                    return;
                }
                let late = Instant::now() > until + Duration::from_secs(10);
                assert!(!late, "the link is stuck at {dialect}");
            }
        }
        first = false;
    }
}

/// The gateway as our client, its upgrade granted (RFC 6455 §4.2.2).
fn accept(doors: &Doors) -> TcpStream {
    let deadline = Instant::now() + Duration::from_secs(5);
    let mut stream = loop {
        match doors.bots.accept() {
            Ok((stream, _)) => break stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < deadline => {
                std::thread::yield_now();
            }
            Err(error) => panic!("the bot is not dialled: {error}"),
        }
    };
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let (mut request, mut octet) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet).unwrap();
        request.push(octet[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Sec-WebSocket-Key").then_some(value.trim())
    });
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key.unwrap().as_bytes())
    );
    stream.write_all(answer.as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    stream
}
