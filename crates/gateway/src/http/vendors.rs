//! The doors for vendors' WebSockets: `/ws`, `/ws/{dialect}/{bot}`, and the ports of `[[listeners]]`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use axum::response::{IntoResponse, Response};
use patchcord_core::dialect::registry;
use patchcord_core::vocabulary::Reason;

use super::access::{bearer, client_address, foreignness};
use super::problem::Problem;
use super::upgrade::Upgrade;
use crate::calls::vendor::{self, VendorBot, VendorRoute};
use crate::calls::{Exchange, RETRY_AFTER_S};
use crate::config::{CUSTOM, Config, Listener, VendorAccess, VendorSource};

/// What a port of `[[listeners]]` was opened with.
pub struct ListenerPort {
    /// What all calls share.
    pub exchange: Arc<Exchange>,
    /// Where `listener` stood in the list when its port was opened.
    pub index: usize,
    /// The entry at that time.
    pub listener: Listener,
}

impl ListenerPort {
    /// The entry of `listeners` for this port; what it was opened with where there is none.
    fn settings<'a>(&'a self, listeners: &'a [Listener]) -> &'a Listener {
        let same = |entry: &&Listener| entry.listen == self.listener.listen;
        let at_index = listeners.get(self.index).filter(same);
        at_index.or_else(|| listeners.iter().find(same)).unwrap_or(&self.listener)
    }
}

/// `/ws`.
pub async fn default_vendor(
    State(exchange): State<Arc<Exchange>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let config = exchange.config();
    let (access, bot) = (&config.http.access, &config.http.ws_bot);
    let door =
        Door { exchange: &exchange, config: &config, access, dialect: DEFAULT_DIALECT, bot, listener: None };
    door.open(peer, request)
}

/// `/ws/{dialect}/{bot}`.
pub async fn any_vendor(
    State(exchange): State<Arc<Exchange>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path((dialect, bot)): Path<(String, String)>,
    request: Request,
) -> Response {
    let config = exchange.config();
    let access = &config.http.access;
    Door { exchange: &exchange, config: &config, access, dialect: &dialect, bot: &bot, listener: None }
        .open(peer, request)
}

/// Every path of a port of `[[listeners]]`.
pub async fn listener_vendor(
    State(port): State<Arc<ListenerPort>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let exchange = &port.exchange;
    let config = exchange.config();
    let listener = port.settings(&config.listeners);
    let (dialect, bot) = (listener.dialect.as_str(), listener.bot.as_str());
    let (access, listener) = (&listener.access, Some(listener));
    Door { exchange, config: &config, access, dialect, bot, listener }.open(peer, request)
}

/// One way in for vendors: who may come, what they speak, whom they meet, and what a listener knows beyond that.
struct Door<'a> {
    exchange: &'a Arc<Exchange>,
    config: &'a Config,
    access: &'a VendorAccess,
    dialect: &'a str,
    bot: &'a str,
    listener: Option<&'a Listener>,
}

impl Door<'_> {
    fn open(&self, peer: SocketAddr, request: Request) -> Response {
        self.try_open(peer, request).unwrap_or_else(IntoResponse::into_response)
    }

    fn try_open(&self, peer: SocketAddr, mut request: Request) -> Result<Response, Problem> {
        check_access(self.access, self.source(peer, &request), &request)?;
        let not_found = |code, detail: &str| Problem::new(StatusCode::NOT_FOUND, code, detail);
        let row = registry::find(self.dialect).ok_or_else(|| {
            not_found("unknown_dialect", "no dialect has this name; see `patchcord dialects`")
        })?;
        let bot =
            self.config.find_bot(self.bot).ok_or_else(|| not_found("unknown_bot", "no bot has this name"))?;
        let listener = self.listener;
        let mapping = listener.and_then(|listener| listener.mapping.clone());
        if row.name == CUSTOM && mapping.is_none() {
            return Err(not_found(
                "no_mapping",
                "custom needs a mapping: give the vendor a port of [[listeners]]",
            ));
        }
        let upgrade = Upgrade::of(&mut request)?;
        let response = upgrade.response();
        let route = VendorRoute {
            row,
            audio: listener.map_or(row.default_audio, |listener| listener.audio),
            mapping,
            bot: VendorBot::Configured(bot),
            country: listener.and_then(|listener| listener.country.as_ref()),
            is_told_id: false,
        };
        vendor::take(self.exchange, route, upgrade.socket()).map_err(refusal)?;
        Ok(response)
    }

    /// Nobody reaches the main port but through the proxy, if there is one. A listener's port may be reached beside
    /// it, by those who write into the header what they like: there the word of this machine's own proxy counts alone.
    fn source(&self, peer: SocketAddr, request: &Request) -> VendorSource {
        let peer = peer.ip();
        if !self.config.http.behind_proxy {
            return VendorSource::Direct(peer);
        }
        let is_told = self.listener.is_none() || peer.to_canonical().is_loopback();
        VendorSource::BehindProxy(if is_told { client_address(self.config, request) } else { peer })
    }
}

/// Who has the token is no page of the web; without one, a program is known by sending no `Origin`.
fn check_access(access: &VendorAccess, source: VendorSource, request: &Request) -> Result<(), Problem> {
    let headers = request.headers();
    let refusal = match (access.admits(source, token(request).as_deref()), &access.token) {
        (true, None) if headers.contains_key(ORIGIN) => {
            let Some(code) = foreignness(headers) else { return Ok(()) };
            let detail = "without a token no page of another origin is let in; programs send no Origin";
            Problem::new(StatusCode::FORBIDDEN, code, detail)
        }
        (true, _) => return Ok(()),
        (false, None) => Problem::new(StatusCode::FORBIDDEN, "not_admitted", "this address is not let in"),
        (false, Some(_)) => {
            Problem::new(StatusCode::UNAUTHORIZED, "token_required", "the token is missing or wrong")
                .with_header("www-authenticate", "Bearer")
        }
    };
    Err(refusal)
}

/// Why a vendor's call finds no place, as HTTP says it.
pub fn refusal(reason: Reason) -> Problem {
    match reason {
        Reason::Drained => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "draining", "this server is being stopped")
        }
        Reason::StorageBehind => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "storage_behind",
            "the database does not keep up with the calls",
        ),
        Reason::OverCapacity => {
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "over_capacity", "all lines are taken")
        }
        _ => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the call could not be set up"),
    }
    .with_retry_after(RETRY_AFTER_S)
}

/// What the vendor presents: `Authorization: Bearer …`, or `?token=…` for clients that cannot set headers; and where
/// clients of speech engines put their keys, the header `api-key` and a subprotocol.
fn token(request: &Request) -> Option<String> {
    if let Some(token) = bearer(request.headers()) {
        return Some(token.to_owned());
    }
    let headers = request.headers();
    if let Some(key) = headers.get("api-key").and_then(|key| key.to_str().ok()) {
        return Some(key.to_owned());
    }
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    if let Some(key) =
        offered.flat_map(|value| value.split(',')).find_map(|word| word.trim().strip_prefix(PROTOCOL_KEY))
    {
        return Some(key.to_owned());
    }
    let query = axum::extract::Query::<Presented>::try_from_uri(request.uri()).ok()?;
    query.0.token
}

#[derive(serde::Deserialize)]
struct Presented {
    token: Option<String>,
}

/// What stands before the key in a subprotocol.
const PROTOCOL_KEY: &str = "openai-insecure-api-key.";

/// The dialect of `/ws` (seed 001).
const DEFAULT_DIALECT: &str = "ozonetel";

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::RETRY_AFTER;

    #[test]
    fn an_origin_matters_only_without_a_token_and_a_name_of_ours_only_with_an_origin() {
        let judged = |own: Option<&str>, host: &str, origin: Option<&str>| {
            let access = VendorAccess { token: own.map(crate::config::Secret::new), accept_from: None };
            let mut request = Request::builder().uri("/ws?token=t").header("host", host);
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let source = VendorSource::Direct([203, 0, 113, 1].into());
            let verdict = check_access(&access, source, &request.body(axum::body::Body::empty()).unwrap());
            verdict.map_err(|problem| problem.code)
        };
        let page = Some("http://rebound.example");
        assert_eq!(judged(None, "voice.example.com", None), Ok(()), "a program");
        assert_eq!(judged(None, "rebound.example", page), Err("foreign_host"));
        assert_eq!(judged(None, "127.0.0.1", page), Err("foreign_origin"));
        assert_eq!(judged(Some("t"), "127.0.0.1", page), Ok(()));
        assert_eq!(judged(Some("u"), "127.0.0.1", None), Err("token_required"));
    }

    #[test]
    fn a_key_is_found_wherever_a_client_can_put_it() {
        let presented = |name: &str, value: &str, path: &str| {
            let request = Request::builder().uri(path).header(name, value);
            token(&request.body(axum::body::Body::empty()).unwrap())
        };
        for (name, value, path) in [
            ("authorization", "Bearer k", "/ws"),
            ("api-key", "k", "/ws"),
            ("sec-websocket-protocol", "realtime, openai-insecure-api-key.k, openai-beta.realtime-v1", "/ws"),
            ("x-other", "", "/ws?token=k"),
        ] {
            assert_eq!(presented(name, value, path).as_deref(), Some("k"), "{name}");
        }
        assert_eq!(presented("sec-websocket-protocol", "realtime", "/ws"), None);
    }

    #[test]
    fn a_full_house_is_429_and_a_stopping_one_503_and_both_say_when_to_come_again() {
        for (reason, status) in [
            (Reason::OverCapacity, 429),
            (Reason::Drained, 503),
            (Reason::StorageBehind, 503),
            (Reason::Internal, 500),
        ] {
            let response = refusal(reason).into_response();
            assert_eq!(response.status().as_u16(), status);
            assert_eq!(response.headers()[RETRY_AFTER], RETRY_AFTER_S.to_string());
        }
    }
}
