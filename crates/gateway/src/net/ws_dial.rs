//! Dials a bot's WebSocket: name, TCP, TLS, handshake, all within one deadline, with the exact reason on failure.
//!
//! Redirects are not followed: the address in the configuration is the one that was checked.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::HOST;
use http::{HeaderMap, Request};
use patchcord_core::vocabulary::Reason;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;

use super::tls::TlsClient;
use super::transport::Transport;
use super::ws_link::{WsSocket, ws_config};
use crate::config::BotUrl;
use crate::tasks::Tasks;

/// Why a bot could not be reached.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct DialError {
    /// The call's reason.
    pub reason: Reason,
    /// A sentence for the log, without secrets.
    pub detail: String,
}

/// Opens a WebSocket to `url` with the headers of its bot.
///
/// # Errors
/// [`DialError`] says at which step it failed; after [`CONNECT_TIMEOUT`] it always has.
pub async fn dial(
    url: &BotUrl,
    headers: &HeaderMap,
    tls: &TlsClient,
    tasks: &Tasks,
) -> Result<WsSocket, DialError> {
    let deadline = Instant::now() + CONNECT_TIMEOUT;
    let addresses = resolve(url, tasks, deadline).await?;
    let tcp = connect(&addresses, deadline).await?;
    let transport = if url.is_tls() { secure(url, tcp, tls, deadline).await? } else { Transport::plain(tcp) };
    let request = request(url, headers)?;
    match timeout_at(deadline, client_async_with_config(request, transport, Some(ws_config()))).await {
        Ok(Ok((socket, _response))) => Ok(socket),
        Ok(Err(error)) => Err(handshake_error(&error)),
        Err(_) => Err(failed(Reason::BotNoHandshake, "no WebSocket handshake in time")),
    }
}

/// Resolves on the main runtime, whose blocking threads are not the media's.
async fn resolve(url: &BotUrl, tasks: &Tasks, deadline: Instant) -> Result<Vec<SocketAddr>, DialError> {
    if let Ok(ip) = url.host().parse() {
        return Ok(vec![SocketAddr::new(ip, url.port())]);
    }
    let (host, port) = (url.host().to_owned(), url.port());
    let lookup = tasks.spawn("resolve", async move {
        let found = tokio::net::lookup_host((host.as_str(), port)).await?;
        Ok::<_, io::Error>(found.take(ADDRESSES_MAX).collect::<Vec<_>>())
    });
    match timeout_at(deadline, lookup).await {
        Ok(Ok(Ok(addresses))) if !addresses.is_empty() => Ok(addresses),
        Ok(Ok(Ok(_))) => Err(failed(Reason::BotDns, "the host has no address")),
        Ok(Ok(Err(error))) => Err(failed(Reason::BotDns, format!("the host cannot be resolved: {error}"))),
        Ok(Err(_)) => Err(failed(Reason::Internal, "the resolver stopped")),
        Err(_) => Err(failed(Reason::BotDns, "the host was not resolved in time")),
    }
}

/// Tries the addresses in turn; each gets its share of the time that is left.
async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, DialError> {
    let mut last = failed(Reason::BotDns, "the host has no address");
    for (index, address) in addresses.iter().enumerate() {
        let left = deadline.saturating_duration_since(Instant::now());
        let share = left / u32::try_from(addresses.len() - index).unwrap_or(1);
        last = match timeout_at(Instant::now() + share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed(Reason::BotRefused, format!("no connection to {address}: {error}")),
            Err(_) => failed(Reason::BotNoHandshake, format!("{address} did not answer in time")),
        };
    }
    Err(last)
}

async fn secure(
    url: &BotUrl,
    tcp: TcpStream,
    tls: &TlsClient,
    deadline: Instant,
) -> Result<Transport, DialError> {
    let name = ServerName::try_from(url.host().to_owned())
        .map_err(|_| failed(Reason::BotTls, "the host is no name that a certificate can have"))?;
    match timeout_at(deadline, tls.connector().connect(name, tcp)).await {
        Ok(Ok(stream)) => Ok(Transport::tls(stream)),
        Ok(Err(error)) => Err(failed(Reason::BotTls, format!("no secure connection: {error}"))),
        Err(_) => Err(failed(Reason::BotTls, "no secure connection in time")),
    }
}

fn request(url: &BotUrl, headers: &HeaderMap) -> Result<Request<()>, DialError> {
    let uri = url.as_uri();
    let host = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    let mut request = Request::get(uri)
        .header(HOST, host)
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

fn failed(reason: Reason, detail: impl Into<String>) -> DialError {
    DialError { reason, detail: detail.into() }
}

/// From the first look at the name to the open WebSocket.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
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
        let (url, headers, tls) = (BotUrl::parse(&url).unwrap(), HeaderMap::new(), TlsClient::new());
        let (error, ()) = tokio::join!(dial(&url, &headers, &tls, &tasks), serve);
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
            let url = BotUrl::parse(&url).unwrap();
            let dialled = dial(&url, &HeaderMap::new(), &TlsClient::new(), &tasks).await;
            assert_eq!(dialled.expect_err("nobody is there").reason, reason, "{url}");
        }
    }
}
