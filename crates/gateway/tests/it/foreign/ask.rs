//! Waiting for what becomes true outside, never longer than a deadline; asking the gateway by HTTP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// The first thing that `found` finds, asked again and again; `None` at the deadline.
pub async fn until<T>(patience: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    let mut ticks = interval(Duration::from_millis(25));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(found) = found() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
    }
}

/// What the gateway answers to GET.
pub fn get(http: SocketAddr, path: &str) -> String {
    answer(request(http, path))
}

/// The JSON that the gateway answers to GET.
pub fn json(http: SocketAddr, path: &str) -> Value {
    body(&get(http, path))
}

/// The status and the JSON that the gateway answers to POST.
pub fn post(http: SocketAddr, path: &str, wish: &Value) -> (u16, Value) {
    let wish = wish.to_string();
    let fields = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", wish.len());
    let mut stream = send(http, &format!("POST {path}"), &fields);
    stream.write_all(wish.as_bytes()).unwrap();
    told(&answer(stream))
}

/// The whole answer to a request with these header fields, each ended by CR LF, and that body.
pub fn anything(http: SocketAddr, what: &str, fields: &str, body: &str) -> String {
    let fields = format!("{fields}Content-Length: {}\r\n", body.len());
    let mut stream = send(http, what, &fields);
    stream.write_all(body.as_bytes()).unwrap();
    answer(stream)
}

/// The status and the JSON that the gateway answers to DELETE.
pub fn delete(http: SocketAddr, path: &str) -> (u16, Value) {
    told(&answer(send(http, &format!("DELETE {path}"), "")))
}

/// The status of the answer to GET, whose body may be no text.
pub fn status(http: SocketAddr, path: &str) -> u16 {
    let mut stream = request(http, path);
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    std::str::from_utf8(&head[9..]).unwrap().parse().unwrap()
}

fn request(http: SocketAddr, path: &str) -> TcpStream {
    send(http, &format!("GET {path}"), "")
}

fn send(http: SocketAddr, what: &str, fields: &str) -> TcpStream {
    let mut stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(stream, "{what} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n{fields}\r\n").unwrap();
    stream
}

fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    // A recording is no text.
    String::from_utf8_lossy(&answer).into_owned()
}

fn told(answer: &str) -> (u16, Value) {
    (answer[9..12].parse().unwrap(), body(answer))
}

fn body(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}")).1;
    serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}
