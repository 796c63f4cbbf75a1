//! `GET /calls/{call_id}/listen`: a WebSocket on which somebody hears a call that is up, both sides, and says nothing.
//!
//! What waits for one who reads slowly is bounded and dropped; the call does not know the difference.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use patchcord_core::dialect::{Wire, WireClass};
use tokio::sync::{Semaphore, mpsc};
use tracing::info;

use super::CallName;
use super::commands::{refused, up};
use crate::calls::Overheard;
use crate::clock::Clock;
use crate::http::access::Caller;
use crate::http::api::Api;
use crate::http::openapi::CommandProblems;
use crate::http::pass::Pass;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::upgrade::Upgrade;
use crate::net::{Received, WsLink, WsSocket};

/// Listen to a call
///
/// A WebSocket. First `{"type":"listening","encoding":"linear16","sample_rate":8000,"channels":2}`, then binary
/// messages of 16-bit little-endian samples, the caller left and what the caller hears right, about a fifth of a second
/// behind; at the end of the call `{"type":"ended"}` and close code 1000. What is sent to it is ignored. It hears
/// nothing while a recording is paused, and the call's record counts it.
#[utoipa::path(
    get,
    path = "/calls/{call_id}/listen",
    operation_id = "listen_to_call",
    tag = "calls",
    params(("call_id" = String, Path, description = "The call")),
    responses(
        (status = 101, description = "The WebSocket is open"),
        (status = 426, description = "It is no WebSocket handshake", body = ProblemBody, content_type = "application/problem+json"),
        CommandProblems,
    ),
)]
pub async fn listen(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Extension(pass): Extension<Pass>,
    CallName(call_id): CallName,
    mut request: Request,
) -> Result<Response, Problem> {
    let handle = up(&api, &call_id).await?;
    let upgrade = Upgrade::of(&mut request)?;
    let permit = api.listeners.clone().try_acquire_owned().map_err(|_| {
        let detail = format!("{LISTENERS_MAX} listen to calls already");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_listeners", detail).with_retry_after(5)
    })?;
    let pieces = handle.listen().await.map_err(|error| refused(&error))?;
    info!(%call_id, key = %caller.0, "somebody listens to a call");
    let response = upgrade.response();
    let (clock, stop) = (api.exchange.clock, api.exchange.tasks.stop().clone());
    api.exchange.tasks.spawn("listener", async move {
        let _permit = permit;
        if let Ok(Ok(socket)) = tokio::time::timeout(UPGRADE_TIMEOUT, upgrade.socket()).await {
            let listener = Listener::new(socket, pieces, clock);
            tokio::select! {
                () = listener.run(&pass) => {}
                () = stop.cancelled() => {}
            }
        }
    });
    Ok(response)
}

/// Somebody who listens.
struct Listener {
    link: WsLink,
    pieces: mpsc::Receiver<Overheard>,
    clock: Clock,
}

impl Listener {
    fn new(socket: WsSocket, pieces: mpsc::Receiver<Overheard>, clock: Clock) -> Self {
        Self { link: WsLink::new(socket, PIECE, clock.now()), pieces, clock }
    }

    /// Until the call, the listener or what let it in is gone.
    async fn run(mut self, pass: &Pass) {
        let mut lost = pin!(pass.lost());
        loop {
            let due = self.link.poll_timeout().map(|at| self.clock.instant(at));
            let timer = async {
                match due {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                is_over = poll_fn(|cx| self.poll(cx)) => if is_over { break },
                () = &mut lost => return self.close(CLOSE_POLICY).await,
                () = timer => if self.link.handle_timeout(self.clock.now()) { return },
            }
        }
        self.say(r#"{"type":"ended"}"#);
        self.close(CLOSE_NORMAL).await;
    }

    async fn close(mut self, code: u16) {
        self.link.close(code);
        let closed = poll_fn(|cx| self.link.poll_closed(cx, self.clock.now()));
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closed).await;
    }

    /// Ready when something was passed on, with whether it is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let now = self.clock.now();
        while let Poll::Ready(received) = self.link.poll_read(cx, now) {
            if matches!(received, Received::Ended(_)) {
                return Poll::Ready(true);
            }
        }
        self.link.poll_write(cx, now);
        match self.pieces.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(true),
            Poll::Ready(Some(Overheard::Began { sample_rate })) => {
                let began = format!(
                    r#"{{"type":"listening","encoding":"linear16","sample_rate":{sample_rate},"channels":2}}"#
                );
                self.say(&began);
                Poll::Ready(false)
            }
            Poll::Ready(Some(Overheard::Sound(bytes))) => {
                self.link.send(WireClass::Audio, Wire::Binary(&bytes));
                Poll::Ready(false)
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.link.send(WireClass::Control, Wire::Text(text));
    }
}

/// A bound for everybody who listens.
pub fn listeners() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(LISTENERS_MAX))
}

/// Those who may listen to calls at a time.
const LISTENERS_MAX: usize = 32;
/// What one message holds.
const PIECE: Duration = Duration::from_millis(80);
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(5);
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
const CLOSE_NORMAL: u16 = 1_000;
/// Whoever listens may not any more (RFC 6455 §7.4.1).
const CLOSE_POLICY: u16 = 1_008;
