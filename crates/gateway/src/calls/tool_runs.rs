//! The HTTP tools of an agent on one call: each call of one is posted, and what is answered goes to the model.
//!
//! They live with the call: what has not answered when it ends is dropped. How many run at a time, the call decides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use patchcord_core::vocabulary::{ToolCall, ToolResult};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config::{AgentSettings, HttpTool};
use crate::net::{Egress, HttpRequest, HttpTerms, Trust, send};

/// Tools at work.
#[derive(Default)]
pub struct ToolRuns {
    running: Vec<Run>,
}

type Run = Pin<Box<dyn Future<Output = ToolResult> + Send>>;

impl ToolRuns {
    /// Begins what the bot of `agent` wants done on the call of that id.
    pub fn begin(&mut self, egress: &Egress, agent: Option<&AgentSettings>, call_id: &str, call: ToolCall) {
        let tool = agent.and_then(|agent| agent.find_tool(&call.name)).cloned();
        let (egress, call_id) = (egress.clone(), call_id.to_owned());
        self.running.push(Box::pin(async move {
            let output = match &tool {
                Some(tool) => post(&egress, tool, &call, &call_id).await,
                None => error("there is no tool of this name"),
            };
            ToolResult { id: call.id, output: output.into() }
        }));
    }

    /// The next result, if there is one.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToolResult> {
        for at in 0..self.running.len() {
            if let Poll::Ready(result) = self.running[at].as_mut().poll(cx) {
                drop(self.running.swap_remove(at));
                return Poll::Ready(result);
            }
        }
        Poll::Pending
    }
}

/// Posts one call; gives what the model is told.
async fn post(egress: &Egress, tool: &HttpTool, call: &ToolCall, call_id: &str) -> String {
    let arguments: Value = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!({}));
    let body = json!({ "name": tool.name, "arguments": arguments, "call_id": call_id });
    let mut headers = tool.headers.clone();
    headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
    let request = HttpRequest {
        method: tool.method.clone(),
        url: &tool.url,
        headers,
        body: Bytes::from(body.to_string()),
    };
    let began = Instant::now();
    let deadline = began + tool.timeout;
    let terms = HttpTerms { trust: &Trust::Operator, deadline, body_bytes_max: ANSWER_BYTES_MAX };
    let answer = send(egress, request, terms).await;
    let ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    match answer {
        Ok(answer) if answer.status.is_success() => {
            info!(tool = %tool.name, ms, "tool answered");
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            if text.trim().is_empty() { json!({ "result": "done" }).to_string() } else { text }
        }
        Ok(answer) => {
            warn!(tool = %tool.name, ms, status = answer.status.as_u16(), "tool refused");
            error(&format!("the tool answered with status {}", answer.status.as_u16()))
        }
        Err(fault) => {
            warn!(tool = %tool.name, ms, error = %fault, "tool failed");
            error(if ms >= millis(tool.timeout) {
                "the tool took too long"
            } else {
                "the tool cannot be reached"
            })
        }
    }
}

fn error(sentence: &str) -> String {
    json!({ "error": sentence }).to_string()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for ToolRuns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolRuns({})", self.running.len())
    }
}

/// Bytes of a tool's answer; a longer one is an error for the model.
const ANSWER_BYTES_MAX: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::Config;
    use crate::net::install_crypto;
    use crate::tasks::Tasks;

    /// What the model is told of a call of `name` when the tool's server answers so, and what the server read.
    async fn told(name: &str, arguments: &str, answer: Option<&[u8]>) -> (String, String) {
        install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let file = format!(
            "[bots.a]\ndialect = \"openai-realtime\"\nurl = \"ws://h/\"\n[[bots.a.tools]]\nname = \"stock\"\n\
             description = \"d\"\nurl = \"http://{}/s\"\ntimeout = \"500ms\"\nheaders = {{ X-Key = \"k\" }}\n",
            listener.local_addr().unwrap()
        );
        let bot = Config::parse(&file).unwrap().bots.remove(0);
        let (tasks, _threads) = Tasks::start(1).unwrap();
        let mut runs = ToolRuns::default();
        let call = ToolCall { id: "c1".into(), name: name.into(), arguments: arguments.into() };
        runs.begin(&Egress::new(tasks), bot.agent.as_deref(), "call_1", call);
        let serve = async {
            let mut request = vec![0; 8_192];
            let (mut stream, _) = listener.accept().await.unwrap();
            let length = stream.read(&mut request).await.unwrap();
            match answer {
                Some(answer) => stream.write_all(answer).await.unwrap(),
                None => std::future::pending().await,
            }
            String::from_utf8_lossy(&request[..length]).into_owned()
        };
        let result = poll_fn(|cx| runs.poll(cx));
        let result = async { tokio::time::timeout(Duration::from_secs(5), result).await.unwrap() };
        let (result, read) = match answer {
            Some(_) if name == "stock" => tokio::join!(result, serve),
            _ => tokio::select! {
                result = result => (result, String::new()),
                read = serve => panic!("nobody was to be asked to the end: {read}"),
            },
        };
        assert_eq!(&*result.id, "c1");
        (result.output.into(), read)
    }

    #[tokio::test]
    async fn a_call_is_posted_with_its_arguments_and_the_answer_goes_to_the_model_as_it_is() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"cars\":3}";
        let (told, read) = told("stock", r#"{"color":"blue"}"#, Some(&answer[..])).await;
        assert_eq!(told, r#"{"cars":3}"#);
        let body: Value = serde_json::from_str(read.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        let wanted = json!({ "name": "stock", "arguments": { "color": "blue" }, "call_id": "call_1" });
        assert_eq!(body, wanted);
        assert!(read.starts_with("POST /s ") && read.contains("x-key: k"), "{read}");
    }

    #[tokio::test]
    async fn a_tool_that_refuses_is_silent_says_too_much_or_does_not_exist_is_an_error_for_the_model() {
        let refused = b"HTTP/1.1 503 Busy\r\nContent-Length: 6\r\n\r\nsecret";
        let long = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'x'; ANSWER_BYTES_MAX + 1]].concat();
        for (name, answer, word) in [
            ("stock", Some(&refused[..]), "status 503"),
            ("stock", Some(&long[..]), "cannot be reached"),
            ("stock", None, "too long"),
            ("launch", None, "no tool"),
        ] {
            let (told, _) = told(name, "{}", answer).await;
            let told: Value = serde_json::from_str(&told).unwrap();
            assert!(told["error"].as_str().unwrap().contains(word), "{told}");
        }
    }
}
