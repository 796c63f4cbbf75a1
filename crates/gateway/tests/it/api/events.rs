//! The stream of events: as they are stored, and again from where somebody left.

use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::client::get;
use super::keys::KEYS;
use super::sessions::{cookie, log_in, log_out};
use crate::serve::Gateway;
use crate::serve::phone::Phone;

/// An open stream.
struct Stream(Lines<BufReader<TcpStream>>);

impl Stream {
    async fn open(address: &str, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head =
            format!("GET /events{query} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        // The first piece says that the place is taken.
        while timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap() != "retry: 2000" {}
        Self(lines)
    }

    /// The next event: its id and what it says.
    async fn next(&mut self) -> (u64, Value) {
        let mut id = 0;
        loop {
            let line = timeout(PATIENCE, self.0.next_line()).await.unwrap().unwrap().unwrap();
            if let Some(text) = line.strip_prefix("id: ") {
                id = text.parse().unwrap();
            }
            if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                assert_eq!(data["seq"], id);
                return (id, data);
            }
        }
    }

    /// What comes until the server ends it.
    async fn rest(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = timeout(PATIENCE, self.0.next_line()).await.expect("it goes on").unwrap() {
            lines.push(line);
        }
        lines
    }
}

#[tokio::test]
async fn events_come_as_they_are_stored_and_again_from_the_last_one_that_was_seen() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    let mut stream = Stream::open(&address, "", "").await;
    Phone::call("echo", &gateway.sip()).await.hang_up().await;
    let mut seen = Vec::new();
    while seen.last().is_none_or(|(_, event): &(u64, Value)| event["event"] != "call.completed") {
        seen.push(stream.next().await);
    }
    let names: Vec<_> = seen.iter().map(|(_, event)| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["call.initiated", "call.ringing", "call.in-progress", "call.completed"]);
    assert!(seen.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert!(seen.iter().all(|(_, event)| event["body"]["event"] == event["event"]));
    drop(stream);
    let header = format!("Last-Event-ID: {}\r\n", seen[1].0);
    let mut again = Stream::open(&address, "?after=0", &header).await;
    assert_eq!([again.next().await, again.next().await], [seen[2].clone(), seen[3].clone()]);
    let mut whole = Stream::open(&address, "?after=0", "").await;
    assert_eq!(whole.next().await, seen[0]);
    gateway.stop_at_once().await;
}

#[tokio::test]
async fn there_is_room_for_so_many_followers_and_a_wrong_place_is_none() {
    let gateway = Gateway::start("").await;
    let address = gateway.http();
    for (query, headers) in [("?after=x", ""), ("?before=1", ""), ("", "Last-Event-ID: x\r\n")] {
        assert_eq!(get(&address, &format!("/events{query}"), headers).await.problem().0, 400);
    }
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(Stream::open(&address, "", "").await);
    }
    let full = get(&address, "/events", "").await;
    assert_eq!(full.problem(), (503, "too_many_followers".to_owned()));
    assert_eq!(full.header("retry-after"), Some("5"));
    streams.pop();
    super::client::until(async || {
        let one_more = timeout(Duration::from_millis(500), get(&address, "/events", "")).await;
        one_more.is_err().then_some(())
    })
    .await;
    gateway.stop_at_once().await;
}

#[tokio::test]
async fn whoever_logs_out_is_told_of_no_later_call_and_others_are() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let entered = log_in(&address, &format!("http://{address}"), "reader-0123456789").await;
    let session = cookie(&entered);
    let leaver = Stream::open(&address, "", &session).await;
    let mut other = Stream::open(&address, "", BOARD).await;
    assert_eq!(log_out(&address, &session).await.status, 204);
    Phone::call("echo", &gateway.sip()).await.hang_up().await;
    assert_eq!(other.next().await.1["event"], "call.initiated");
    assert!(leaver.rest().await.iter().all(|line| !line.contains("call")), "told after the log-out");
    gateway.stop_at_once().await;
}

#[tokio::test]
async fn a_key_that_is_configured_no_more_ends_what_it_and_its_sessions_follow() {
    let gateway = Gateway::start(KEYS).await;
    let address = gateway.http();
    let entered = log_in(&address, &format!("http://{address}"), "reader-0123456789").await;
    let by_key = Stream::open(&address, "", BOARD).await;
    let by_session = Stream::open(&address, "", &cookie(&entered)).await;
    let mut other = Stream::open(&address, "", "Authorization: Bearer admin-0123456789\r\n").await;
    gateway.reload(&KEYS.replace("reader-0123456789", "changed-0123456789"));
    // Nothing happens that would have them written to.
    by_key.rest().await;
    by_session.rest().await;
    Phone::call("echo", &gateway.sip()).await.hang_up().await;
    assert_eq!(other.next().await.1["event"], "call.initiated");
    gateway.stop_at_once().await;
}

/// The line with the key of a reader.
const BOARD: &str = "Authorization: Bearer reader-0123456789\r\n";
const PATIENCE: Duration = Duration::from_secs(10);
