//! The server's half of the WebSocket handshake (RFC 6455 §4.2), with the connection handed on whole.
//!
//! Unlike a framework's upgrade it gives the TCP connection itself, so that the call can take it to its own
//! media worker.

use std::io;

use axum::extract::Request;
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::problem::Problem;
use crate::net::{ServerStream, WsSocket, ws_config};

/// A handshake that was found good and waits for its 101 to leave.
#[derive(Debug)]
pub struct Upgrade {
    connection: OnUpgrade,
    accept: String,
    /// The subprotocol that is agreed to, where the client asks for one that is known.
    protocol: Option<HeaderValue>,
}

impl Upgrade {
    /// Reads the handshake out of a request.
    ///
    /// # Errors
    /// The problem to answer with: 405, 400, or 426 with the version that is spoken.
    pub fn of(request: &mut Request) -> Result<Self, Problem> {
        let refuse = |status, code, detail: &str| Err(Problem::new(status, code, detail));
        let outdated = |code, detail| {
            Problem::new(StatusCode::UPGRADE_REQUIRED, code, detail).with_header(VERSION, "13")
        };
        let headers = request.headers();
        if request.method() != Method::GET {
            return refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "a WebSocket begins with GET",
            );
        }
        if !has_token(headers, &UPGRADE, "websocket") || !has_token(headers, &CONNECTION, "upgrade") {
            return Err(outdated("no_websocket", "this address speaks WebSocket only"));
        }
        if headers.get(VERSION).is_none_or(|version| version != "13") {
            return Err(outdated("websocket_version", "WebSocket version 13 is spoken"));
        }
        let Some(key) = headers.get(SEC_WEBSOCKET_KEY) else {
            return refuse(StatusCode::BAD_REQUEST, "websocket_key", "Sec-WebSocket-Key is missing");
        };
        let accept = derive_accept_key(key.as_bytes());
        let protocol = has_token(headers, &SEC_WEBSOCKET_PROTOCOL, REALTIME);
        let protocol = protocol.then(|| HeaderValue::from_static(REALTIME));
        match request.extensions_mut().remove::<OnUpgrade>() {
            Some(connection) => Ok(Self { connection, accept, protocol }),
            None => Err(outdated("no_upgrade", "this connection cannot be upgraded")),
        }
    }

    /// The 101 that goes to the client.
    pub fn response(&self) -> Response {
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = &self.protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol.clone());
        }
        response
    }

    /// The WebSocket, once the 101 has left, served by the runtime that this runs on.
    ///
    /// # Errors
    /// When the client left before.
    pub async fn socket(self) -> io::Result<WsSocket> {
        let upgraded = self.connection.await.map_err(io::Error::other)?;
        let parts = upgraded
            .downcast::<TokioIo<ServerStream>>()
            .map_err(|_| io::Error::other("the connection is of an unknown kind"))?;
        let transport = parts.io.into_inner().into_transport()?;
        let (read, config) = (parts.read_buf.to_vec(), Some(ws_config()));
        Ok(WebSocketStream::from_partially_read(transport, read, Role::Server, config).await)
    }
}

/// Whether one of the comma-separated words of a header is `token`.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|word| word.trim().eq_ignore_ascii_case(token)))
}

/// What clients of speech engines ask for that cannot set headers; they hang up on whoever agrees to nothing.
const REALTIME: &str = "realtime";

const VERSION: &str = "sec-websocket-version";
