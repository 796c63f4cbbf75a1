//! Sends traces in batches: what came within a second, to where `[otel] endpoint` says at that moment.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::attributes::{Attributes, Content};
use super::spans::spans;
use super::{EndedTrace, Traces};
use crate::config::{CurrentConfig, Otel};
use crate::net::{Egress, HttpRequest, HttpTerms, Trust, send_for_head};
use crate::store::Store;

/// The one that sends.
pub struct TraceExporter {
    /// Where calls leave what traces are made of.
    pub traces: Arc<Traces>,
    /// The settings in effect.
    pub current: CurrentConfig,
    /// The way out.
    pub egress: Egress,
    /// Where the words of calls are.
    pub store: Store,
}

impl TraceExporter {
    /// Runs until `stop`, and sends what waits then once.
    pub async fn run(self, stop: CancellationToken) {
        let Some(mut waiting) = self.traces.take_waiting() else { return };
        let (mut batch, mut is_failing) = (Vec::new(), false);
        loop {
            let stops = tokio::select! {
                _ = waiting.recv_many(&mut batch, BATCH_MAX) => {
                    gather(&mut waiting, &mut batch, &stop).await;
                    stop.is_cancelled()
                }
                () = stop.cancelled() => true,
            };
            while let Ok(ended) = waiting.try_recv() {
                batch.push(ended);
                if batch.len() >= BATCH_MAX && !stops {
                    break;
                }
            }
            self.export(&mut batch, &mut is_failing, &stop).await;
            if stops {
                return;
            }
        }
    }

    async fn export(&self, batch: &mut Vec<EndedTrace>, is_failing: &mut bool, stop: &CancellationToken) {
        let traces = std::mem::take(batch);
        let config = self.current.snapshot();
        let Some(otel) = config.otel.as_ref().filter(|_| !traces.is_empty()) else { return };
        let body = self.body(&traces, otel, &config.server.id).await;
        for wait in RETRIES {
            match self.post(&body, otel).await {
                Sent::Taken => {
                    self.traces.count_exported(traces.len());
                    if std::mem::take(is_failing) {
                        info!("the receiver of traces takes them again");
                    }
                    return;
                }
                Sent::Refused(status) => {
                    self.traces.count_refused(traces.len());
                    if !std::mem::replace(is_failing, true) {
                        warn!(status = status.as_u16(), "the receiver of traces refuses them");
                    }
                    return;
                }
                Sent::Unanswered if stop.is_cancelled() => break,
                Sent::Unanswered => tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stop.cancelled() => {}
                },
            }
        }
        self.traces.count_dropped(traces.len());
        if !std::mem::replace(is_failing, true) {
            warn!(traces = traces.len(), "traces are lost: their receiver does not answer");
        }
    }

    /// An `ExportTraceServiceRequest`.
    async fn body(&self, traces: &[EndedTrace], otel: &Otel, server: &str) -> Bytes {
        let content = if otel.content { Content::Told } else { Content::Left };
        let mut all: Vec<Value> = Vec::new();
        for ended in traces {
            // Without the words a trace is whole but for its events.
            let said = self.store.utterances_of(ended.record.call_id.as_str()).await.unwrap_or_default();
            all.extend(spans(ended, &said, content));
        }
        let resource = Attributes::default()
            .text("service.name", "patchcord")
            .text("service.version", env!("CARGO_PKG_VERSION"))
            .text("service.instance.id", server);
        let request = json!({ "resourceSpans": [{
            "resource": { "attributes": resource.into_json() },
            "scopeSpans": [{ "scope": { "name": "patchcord" }, "spans": all }],
        }]});
        request.to_string().into()
    }

    async fn post(&self, body: &Bytes, otel: &Otel) -> Sent {
        let mut headers = otel.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let request =
            HttpRequest { method: Method::POST, url: &otel.traces_url, headers, body: body.clone() };
        let deadline = Instant::now() + POST_TIMEOUT;
        let terms = HttpTerms { trust: &Trust::Operator, deadline, body_bytes_max: 0 };
        match send_for_head(&self.egress, request, terms).await {
            Ok((status, _)) if status.is_success() => Sent::Taken,
            // OTLP/HTTP, "Retryable Response Codes".
            Ok((status, _)) if matches!(status.as_u16(), 429 | 502 | 503 | 504) => Sent::Unanswered,
            Ok((status, _)) => Sent::Refused(status),
            Err(_) => Sent::Unanswered,
        }
    }
}

/// Waits a little for more.
async fn gather(
    waiting: &mut mpsc::Receiver<EndedTrace>,
    batch: &mut Vec<EndedTrace>,
    stop: &CancellationToken,
) {
    let enough = async {
        while batch.len() < BATCH_MAX {
            match waiting.recv().await {
                Some(ended) => batch.push(ended),
                None => return,
            }
        }
    };
    tokio::select! {
        _ = tokio::time::timeout(GATHER, enough) => {}
        () = stop.cancelled() => {}
    }
}

/// What became of a request.
enum Sent {
    Taken,
    Refused(StatusCode),
    Unanswered,
}

/// Traces in one request.
const BATCH_MAX: usize = 64;
/// How long a first trace waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How long a request may take.
const POST_TIMEOUT: Duration = Duration::from_secs(10);
/// The waits after a receiver did not answer.
const RETRIES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
