//! The HTTP tools of an agent on one call: each call of one is posted, and what is answered goes to the model.
//!
//! They live with the call: what has not answered when it ends is dropped. How many run at a time, the call decides.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use patchcord_core::vocabulary::{ToolCall, ToolResult};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::{info, warn};

use super::exchange::Exchange;
use crate::config::{AgentSettings, HttpTool};
use crate::net::{HttpRequest, HttpTerms, Trust, send};

/// Tools at work.
#[derive(Default)]
pub struct ToolRuns {
    running: Vec<Run>,
}

type Run = Pin<Box<dyn Future<Output = ToolResult> + Send>>;

impl ToolRuns {
    /// Begins what the bot of `agent` wants done on the call of that id.
    pub fn begin(
        &mut self,
        exchange: &Arc<Exchange>,
        agent: Option<&AgentSettings>,
        call_id: &str,
        call: ToolCall,
    ) {
        let tool = agent.and_then(|agent| agent.find_tool(&call.name)).cloned();
        let (exchange, call_id) = (exchange.clone(), call_id.to_owned());
        self.running.push(Box::pin(async move {
            let output = match &tool {
                Some(tool) => post(&exchange, tool, &call, &call_id).await,
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
async fn post(exchange: &Exchange, tool: &HttpTool, call: &ToolCall, call_id: &str) -> String {
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
    let answer = send(&exchange.egress, request, terms).await;
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
