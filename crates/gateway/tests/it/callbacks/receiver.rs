//! A receiver of callbacks on a free port: it answers each as the test says, and hands over what it got.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How a request is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With that status and nothing else.
    Status(u16),
    /// With 307 and that address.
    Redirect(String),
    /// Not at all.
    Silence,
    /// With 200 and a body that does not end.
    Endless,
    /// With that status, those further header lines, each with its line end, and that body.
    Whole(u16, &'static str, String),
}

/// One request.
#[derive(Debug)]
pub struct Got {
    head: String,
    /// The body as it came.
    pub body: String,
}

/// The receiver.
pub struct Receiver {
    address: String,
    got: mpsc::Receiver<Got>,
}

impl Receiver {
    /// Receives from now on; `answer` is told how many requests came before, and what came.
    pub async fn start(answer: impl Fn(usize, &Got) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (told, got) = mpsc::channel(1_024);
        let (answer, seen) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, seen, told) = (answer.clone(), seen.clone(), told.clone());
                tokio::spawn(async move {
                    let mut stream = stream;
                    let Some(got) = read(&mut stream).await else { return };
                    let answer = answer(seen.fetch_add(1, Ordering::SeqCst), &got);
                    let _ = told.send(got).await;
                    reply(&mut stream, answer).await;
                });
            }
        });
        Self { address, got }
    }

    /// Its address with that path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next so many requests.
    pub async fn take(&mut self, count: usize) -> Vec<Got> {
        let mut all = Vec::new();
        while all.len() < count {
            let next = timeout(PATIENCE, self.got.recv()).await;
            all.push(next.unwrap_or_else(|_| panic!("{count} were to come, and only {all:?}")).unwrap());
        }
        all
    }

    /// What came and was not taken.
    pub fn try_take(&mut self) -> Option<Got> {
        self.got.try_recv().ok()
    }

    /// Waits until something holds.
    pub async fn until(&self, mut holds: impl FnMut() -> bool) {
        let looking = async {
            while !holds() {
                tokio::time::interval(Duration::from_millis(5)).tick().await;
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, looking).await.expect("it never held");
    }
}

impl Got {
    /// A header; empty when it is not there. Panics when it is there twice.
    pub fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let values: Vec<_> =
            lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect();
        assert!(values.len() < 2, "{name} is there twice: {}", self.head);
        values.concat()
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The event's name.
    pub fn event(&self) -> String {
        self.json()["event"].as_str().unwrap().to_owned()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Got> {
    let (mut text, mut piece) = (String::new(), [0; 4_096]);
    loop {
        let length = stream.read(&mut piece).await.ok().filter(|length| *length > 0)?;
        text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && serde_json::from_str::<Value>(body).is_ok()
        {
            return Some(Got { head: head.to_owned(), body: body.to_owned() });
        }
    }
}

async fn reply(stream: &mut TcpStream, answer: Answer) {
    let head = match answer {
        Answer::Status(status) => format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n"),
        Answer::Redirect(to) => {
            format!("HTTP/1.1 307 Elsewhere\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n")
        }
        Answer::Endless => "HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nx".to_owned(),
        Answer::Whole(status, headers, body) => {
            format!("HTTP/1.1 {status} Said\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
        }
        Answer::Silence => String::new(),
    };
    let _ = stream.write_all(head.as_bytes()).await;
    // Whoever asked hangs up.
    let _ = stream.read(&mut [0; 16]).await;
}

const PATIENCE: Duration = Duration::from_secs(20);
