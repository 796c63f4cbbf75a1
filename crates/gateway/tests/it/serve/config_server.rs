//! A CONFIG_API for tests: it reads one question at a time and answers what the test says.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::phone::PATIENCE;

/// A server on a free port.
pub struct ConfigServer {
    listener: TcpListener,
}

/// One question, read and not answered.
pub struct Question {
    stream: TcpStream,
    /// The request line and the headers.
    pub head: String,
    /// The body as it came.
    pub body: String,
}

impl ConfigServer {
    pub async fn start() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// `[[numbers]]` that asks it about every call, with a fallback and further keys.
    pub fn number(&self, fallback: &str, more: &str) -> String {
        let address = self.listener.local_addr().unwrap();
        format!(
            "[[numbers]]\nnumber = \"*\"\nconfig_api = \"http://{address}/config?k=v\"\nfallback = \"{fallback}\"\n{more}"
        )
    }

    /// Somebody who asks.
    pub async fn connection(&self) -> TcpStream {
        timeout(PATIENCE, self.listener.accept()).await.expect("nobody asks").unwrap().0
    }

    /// The next question.
    pub async fn question(&self) -> Question {
        let mut stream = self.connection().await;
        let (mut text, mut piece) = (String::new(), [0; 4_096]);
        loop {
            if let Some((head, body)) = text.split_once("\r\n\r\n")
                && body.ends_with('}')
            {
                return Question { stream, head: head.to_owned(), body: body.to_owned() };
            }
            let length = stream.read(&mut piece).await.unwrap();
            assert!(length > 0, "half a question: {text}");
            text.push_str(std::str::from_utf8(&piece[..length]).unwrap());
        }
    }

    /// Answers the next question with 200 and `answer`; gives the question.
    pub async fn answer(&self, answer: &Value) -> Question {
        let mut question = self.question().await;
        question.say("200 OK", &answer.to_string()).await;
        question
    }
}

impl Question {
    /// Answers with that status line and body.
    pub async fn say(&mut self, status: &str, body: &str) {
        let length = body.len();
        self.say_raw(&format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}")).await;
    }

    /// Answers with these bytes. A gateway that has heard enough may be gone.
    pub async fn say_raw(&mut self, answer: &str) {
        let _ = self.stream.write_all(answer.as_bytes()).await;
    }
}
