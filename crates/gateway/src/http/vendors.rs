//! The doors for vendors' WebSockets: `/ws`, `/ws/{dialect}/{bot}`, and the ports of `[[listeners]]`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use patchcord_core::dialect::registry;
use patchcord_core::vocabulary::Reason;

use super::access::bearer;
use super::problem::Problem;
use super::upgrade::Upgrade;
use crate::calls::vendor::{self, VendorRoute};
use crate::calls::{Exchange, RETRY_AFTER_S};
use crate::config::{CUSTOM, Config, Listener, VendorAccess};

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
        self.check_access(peer, &request)?;
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
            bot,
            country: listener.and_then(|listener| listener.country.as_ref()),
        };
        vendor::take(self.exchange, route, upgrade.socket()).map_err(refusal)?;
        Ok(response)
    }

    fn check_access(&self, peer: SocketAddr, request: &Request) -> Result<(), Problem> {
        if self.access.admits(peer.ip(), token(request).as_deref()) {
            return Ok(());
        }
        Err(match self.access.token {
            None => Problem::new(StatusCode::FORBIDDEN, "not_admitted", "this address is not let in"),
            Some(_) => {
                Problem::new(StatusCode::UNAUTHORIZED, "token_required", "the token is missing or wrong")
                    .with_header("www-authenticate", "Bearer")
            }
        })
    }
}

fn refusal(reason: Reason) -> Problem {
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

/// What the vendor presents: `Authorization: Bearer …`, or `?token=…` for clients that cannot set headers.
fn token(request: &Request) -> Option<String> {
    if let Some(token) = bearer(request.headers()) {
        return Some(token.to_owned());
    }
    let query = axum::extract::Query::<Presented>::try_from_uri(request.uri()).ok()?;
    query.0.token
}

#[derive(serde::Deserialize)]
struct Presented {
    token: Option<String>,
}

/// The dialect of `/ws` (seed 001).
const DEFAULT_DIALECT: &str = "ozonetel";

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::header::RETRY_AFTER;

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
