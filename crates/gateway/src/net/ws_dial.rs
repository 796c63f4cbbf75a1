//! Dials a bot's WebSocket: name, TCP, TLS, handshake, all within one deadline, with the exact reason on failure.
//!
//! Redirects are not followed: the address that the guard has checked is the one that is spoken to.

use std::time::{Duration, SystemTime};

use http::header::{DATE, HOST};
use http::{HeaderMap, Request};
use patchcord_core::vocabulary::Reason;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::egress::{Destination, Egress, EgressError, Trust};
use super::ws_link::{WsSocket, ws_config};
use crate::config::BotUrl;

/// Why a bot could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct DialError {
    /// The call's reason.
    pub reason: Reason,
    /// A sentence for the log, without secrets.
    pub detail: String,
}

/// Opens a WebSocket to `url`, where `trust` lets it lead, with the headers of its bot.
///
/// # Errors
/// [`DialError`] says at which step it failed; after [`CONNECT_TIMEOUT`] it always has.
pub async fn dial(
    url: &BotUrl,
    headers: &HeaderMap,
    trust: &Trust,
    egress: &Egress,
) -> Result<WsSocket, DialError> {
    open(url, headers, trust, egress).await.map(|(socket, _)| socket)
}

/// What a bot answered that was greeted and left.
#[derive(Debug, Clone, Copy)]
pub struct Knock {
    /// From the first look at the name to the open WebSocket.
    pub took: Duration,
    /// The time that it says it is (RFC 9110 §6.6.1).
    pub date: Option<SystemTime>,
}

/// Opens a WebSocket as [`dial`] does and closes it at once, before any call is told of.
///
/// # Errors
/// As [`dial`].
pub async fn knock(
    url: &BotUrl,
    headers: &HeaderMap,
    trust: &Trust,
    egress: &Egress,
) -> Result<Knock, DialError> {
    let began = Instant::now();
    let (mut socket, answered) = open(url, headers, trust, egress).await?;
    let took = began.elapsed();
    let date = answered.get(DATE).and_then(|date| httpdate::parse_http_date(date.to_str().ok()?).ok());
    let goodbye = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::from_static("") };
    // Whoever does not wait for a goodbye has opened all the same.
    let _ = timeout(GOODBYE_TIMEOUT, socket.close(Some(goodbye))).await;
    Ok(Knock { took, date })
}

async fn open(
    url: &BotUrl,
    headers: &HeaderMap,
    trust: &Trust,
    egress: &Egress,
) -> Result<(WsSocket, HeaderMap), DialError> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let transport = egress.connect(Destination::of(url), trust, deadline).await?;
    let request = request(url, headers)?;
    match timeout_at(deadline, client_async_with_config(request, transport, Some(ws_config()))).await {
        Ok(Ok((socket, response))) => Ok((socket, response.into_parts().0.headers)),
        Ok(Err(error)) => Err(handshake_error(&error)),
        Err(_) => Err(failed(Reason::BotNoHandshake, "no WebSocket handshake in time")),
    }
}

fn request(url: &BotUrl, headers: &HeaderMap) -> Result<Request<()>, DialError> {
    let mut request = Request::get(url.as_uri())
        .header(HOST, url.authority())
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", generate_key())
        .body(())
        .map_err(|error| failed(Reason::Internal, format!("no request could be made: {error}")))?;
    for (name, value) in headers {
        request.headers_mut().append(name, value.clone());
    }
    Ok(request)
}

fn handshake_error(error: &WsError) -> DialError {
    match error {
        WsError::Http(response) => {
            let reason = match response.status().as_u16() {
                401 | 403 => Reason::BotUnauthorized,
                _ => Reason::BotHttpStatus,
            };
            failed(reason, format!("the bot answered with HTTP status {}", response.status().as_u16()))
        }
        error => failed(Reason::BotNoHandshake, format!("no WebSocket handshake: {error}")),
    }
}

impl From<EgressError> for DialError {
    fn from(error: EgressError) -> Self {
        let reason = match &error {
            EgressError::Unresolved(_) | EgressError::ResolvedTooLate => Reason::BotDns,
            EgressError::Forbidden(..) => Reason::BotForbidden,
            EgressError::Refused(..) => Reason::BotRefused,
            EgressError::NoAnswer(_) => Reason::BotNoHandshake,
            EgressError::Tls(_) | EgressError::TlsTooLate => Reason::BotTls,
        };
        failed(reason, error.to_string())
    }
}

fn failed(reason: Reason, detail: impl Into<String>) -> DialError {
    DialError { reason, detail: detail.into() }
}

/// From the first look at the name to the open WebSocket.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the goodbye to a bot that was only greeted may take.
const GOODBYE_TIMEOUT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::Tasks;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// What becomes of a dial to a server that answers the first bytes with `answer` and closes.
    async fn dialled(scheme: &str, answer: &'static [u8]) -> Reason {
        super::super::tls::install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{scheme}://{}/voice?token=hunter2", listener.local_addr().unwrap());
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            stream.write_all(answer).await.unwrap();
        };
        let (tasks, _threads) = Tasks::start(1).unwrap();
        let (url, headers, egress) = (BotUrl::parse(&url).unwrap(), HeaderMap::new(), Egress::new(tasks));
        let (error, ()) = tokio::join!(dial(&url, &headers, &Trust::Operator, &egress), serve);
        let error = error.expect_err("this is no WebSocket server");
        assert!(!error.detail.contains("hunter2"), "{error}");
        error.reason
    }

    #[tokio::test]
    async fn every_answer_that_is_no_websocket_has_its_own_reason() {
        for (scheme, answer, reason) in [
            ("ws", &b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"[..], Reason::BotUnauthorized),
            ("ws", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", Reason::BotUnauthorized),
            ("ws", b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\n\r\n", Reason::BotHttpStatus),
            ("ws", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Reason::BotHttpStatus),
            ("ws", b"SSH-2.0-hello\r\n", Reason::BotNoHandshake),
            ("ws", b"", Reason::BotNoHandshake),
            ("wss", b"HTTP/1.1 400 Bad Request\r\n\r\n", Reason::BotTls),
        ] {
            assert_eq!(dialled(scheme, answer).await, reason, "{scheme} {}", answer.escape_ascii());
        }
    }

    #[tokio::test]
    async fn a_closed_port_and_an_unknown_name_are_told_apart() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let (tasks, _threads) = Tasks::start(1).unwrap();
        for (url, reason) in [
            (format!("ws://{closed}/"), Reason::BotRefused),
            ("ws://nobody.invalid/".to_owned(), Reason::BotDns),
        ] {
            let (url, egress) = (BotUrl::parse(&url).unwrap(), Egress::new(tasks.clone()));
            let dialled = dial(&url, &HeaderMap::new(), &Trust::Operator, &egress).await;
            assert_eq!(dialled.expect_err("nobody is there").reason, reason, "{url}");
        }
    }
}
