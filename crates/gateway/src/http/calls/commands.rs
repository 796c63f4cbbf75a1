//! `POST /calls/{call_id}/…`: hang up, transfer, send digits, clear: orders for a call that is up.

use std::future::Future;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use patchcord_core::call::Order;
use patchcord_core::vocabulary::{
    DESTINATIONS_MAX, DialDigits, DialOrder, PhoneNumber, Reason, Transfer, TransferTo,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{CallName, find, own_id};
use crate::calls::{CallHandle, OrderError, transfer_refusal};
use crate::config::{BotUrl, Config};
use crate::http::access::Caller;
use crate::http::api::Api;
use crate::http::body::RawJson;
use crate::http::idempotency;
use crate::http::openapi::CommandProblems;
use crate::http::problem::Problem;
use crate::http::wish::{check_line, check_number, check_way};
use crate::net::Trust;

/// What was ordered.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The call's id.
    #[schema(example = "call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    call_id: String,
    /// `accepted`: what becomes of it shows in the call and its events.
    #[schema(example = "accepted")]
    status: &'static str,
}

/// Nothing to say.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Digits to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Digits {
    /// `0-9*#A-D`, with `,` or `w` for half a second of nothing.
    #[schema(example = "123#", pattern = "^[0-9*#A-D,w]{1,64}$")]
    dtmf: String,
}

/// Where a call goes: exactly one of the fields but `strategy`, which goes with `destination`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferWish {
    /// A telephone number, or up to 10.
    destination: Option<Destinations>,
    /// `simultaneous` (all ring) or `sequential` (one after the other).
    strategy: Option<Strategy>,
    /// An extension.
    #[schema(example = "101", max_length = 64)]
    extension: Option<String>,
    /// A flow.
    #[schema(example = "sales_flow", max_length = 64)]
    flow_id: Option<String>,
    /// A bot of the configuration.
    #[schema(example = "sales", max_length = 64)]
    bot: Option<String>,
    /// Another bot's address; it speaks as the one before does.
    #[schema(example = "wss://new-bot.example.com/voice", max_length = 2048)]
    url: Option<String>,
}

/// One number, or several.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a telephone number, or a list of them")]
pub enum Destinations {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

/// How several numbers are tried.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// All ring; the first answer wins.
    Simultaneous,
    /// One after the other.
    Sequential,
}

/// End a call
#[utoipa::path(
    post,
    path = "/calls/{call_id}/hangup",
    operation_id = "hang_up_call",
    tag = "calls",
    params(
        ("call_id" = String, Path, description = "The call's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key is carried out once and answered alike, for 24 hours", pattern = "^[!-~]{1,255}$"),
    ),
    request_body(content = Nothing, description = "Nothing, or `{}`"),
    responses((status = 202, description = "It ends", body = Accepted), CommandProblems),
)]
pub async fn hang_up(asked: Asked, body: RawJson) -> Result<Response, Problem> {
    let Nothing {} = body.parse()?;
    asked.carry_out("hangup", &body, |handle| async move { handle.hang_up(Reason::Asked) }).await
}

/// Drop the bot's audio that waits for the caller
#[utoipa::path(
    post,
    path = "/calls/{call_id}/clear",
    operation_id = "clear_call",
    tag = "calls",
    params(
        ("call_id" = String, Path, description = "The call's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key is carried out once and answered alike, for 24 hours", pattern = "^[!-~]{1,255}$"),
    ),
    request_body(content = Nothing, description = "Nothing, or `{}`"),
    responses((status = 202, description = "It is dropped", body = Accepted), CommandProblems),
)]
pub async fn clear(asked: Asked, body: RawJson) -> Result<Response, Problem> {
    let Nothing {} = body.parse()?;
    asked.order("clear", &body, Order::Clear).await
}

/// Send digits to the caller
#[utoipa::path(
    post,
    path = "/calls/{call_id}/dtmf",
    operation_id = "send_digits",
    tag = "calls",
    params(
        ("call_id" = String, Path, description = "The call's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key is carried out once and answered alike, for 24 hours", pattern = "^[!-~]{1,255}$"),
    ),
    request_body = Digits,
    responses((status = 202, description = "They are sent", body = Accepted), CommandProblems),
)]
pub async fn send_digits(asked: Asked, body: RawJson) -> Result<Response, Problem> {
    let Digits { dtmf } = body.parse()?;
    let digits = DialDigits::parse(&dtmf, TONE).map_err(|_| {
        Problem::field("bad_field", "/dtmf", "expected 1 to 64 of 0-9, *, #, A-D, or a pause , or w")
    })?;
    asked.order("dtmf", &body, Order::Digits(digits)).await
}

/// Give a call to somebody else
#[utoipa::path(
    post,
    path = "/calls/{call_id}/transfer",
    operation_id = "transfer_call",
    tag = "calls",
    params(
        ("call_id" = String, Path, description = "The call's id"),
        ("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key is carried out once and answered alike, for 24 hours", pattern = "^[!-~]{1,255}$"),
    ),
    request_body(content = TransferWish, example = json!({ "destination": ["9876543210", "9876543211"], "strategy": "sequential" })),
    responses((status = 202, description = "It is under way", body = Accepted), CommandProblems),
)]
pub async fn transfer(asked: Asked, body: RawJson) -> Result<Response, Problem> {
    let to = body.parse::<TransferWish>()?.check()?;
    check_is_there(&asked.api.exchange.config(), &to)?;
    let exchange = asked.api.exchange.clone();
    let give = |handle: CallHandle| async move {
        if let Some(refusal) = transfer_refusal(&exchange, &to) {
            return Err(OrderError::Refused(refusal.of_command(COMMAND)));
        }
        handle.order(Order::Transfer(Transfer { to, command: COMMAND })).await
    };
    asked.carry_out(COMMAND, &body, give).await
}

impl TransferWish {
    fn check(self) -> Result<TransferTo, Problem> {
        let Self { destination, strategy, extension, flow_id, bot, url } = self;
        if strategy.is_some() && destination.is_none() {
            return Err(Problem::field("bad_field", "/strategy", "it goes with destination alone"));
        }
        match (destination, extension, flow_id, bot, url) {
            (Some(to), None, None, None, None) => phones(to, strategy),
            (None, Some(name), None, None, None) => {
                Ok(TransferTo::Extension(check_line("/extension", name, NAME_CHARS_MAX)?.into()))
            }
            (None, None, Some(name), None, None) => {
                Ok(TransferTo::Flow(check_line("/flow_id", name, NAME_CHARS_MAX)?.into()))
            }
            (None, None, None, Some(name), None) => {
                Ok(TransferTo::NamedBot(check_line("/bot", name, NAME_CHARS_MAX)?.into()))
            }
            (None, None, None, None, Some(url)) => {
                Ok(TransferTo::Bot(check_line("/url", url, URL_CHARS_MAX)?.into()))
            }
            _ => {
                let detail = "expected exactly one of destination, extension, flow_id, bot, url";
                Err(Problem::field("bad_field", "", detail))
            }
        }
    }
}

/// Whom nobody here knows is told at once.
fn check_is_there(config: &Config, to: &TransferTo) -> Result<(), Problem> {
    let unknown = |code, pointer, detail| Err(Problem::field(code, pointer, detail));
    match to {
        TransferTo::Extension(number) if config.find_extension(number).is_none() => {
            unknown("unknown_extension", "/extension", "no extension has this number")
        }
        TransferTo::Flow(name) if config.flows.find(name).is_none() => {
            unknown("unknown_flow", "/flow_id", "no flow has this name")
        }
        TransferTo::NamedBot(name) if config.find_bot(name).is_none() => {
            unknown("unknown_bot", "/bot", "no bot has this name")
        }
        TransferTo::Bot(url) => match BotUrl::parse(url) {
            // Where a bot of the configuration is, another one may be.
            Ok(url) if config.bots.iter().any(|bot| bot.url.has_origin_of(&url)) => Ok(()),
            Ok(url) => check_way("/url", &url, &Trust::Outside(config.egress.clone())),
            Err(refusal) => Err(Problem::field("bad_field", "/url", refusal.what)),
        },
        _ => Ok(()),
    }
}

fn phones(to: Destinations, strategy: Option<Strategy>) -> Result<TransferTo, Problem> {
    let numbers = match to {
        Destinations::One(number) => vec![check_number("/destination", number)?],
        Destinations::Many(numbers) => {
            if !(1..=DESTINATIONS_MAX).contains(&numbers.len()) {
                let detail = format!("expected 1 to {DESTINATIONS_MAX} telephone numbers");
                return Err(Problem::field("bad_field", "/destination", detail));
            }
            let checked = numbers.into_iter().enumerate();
            checked
                .map(|(at, number)| check_number(&format!("/destination/{at}"), number))
                .collect::<Result<_, _>>()?
        }
    };
    let order = match strategy {
        None | Some(Strategy::Simultaneous) => DialOrder::AllAtOnce,
        Some(Strategy::Sequential) => DialOrder::OneByOne,
    };
    Ok(TransferTo::Phones(numbers.iter().map(|number| PhoneNumber::new(number)).collect(), order))
}

/// Who asks something of which call.
pub struct Asked {
    api: Api,
    caller: Caller,
    headers: HeaderMap,
    call_id: String,
}

impl FromRequestParts<Api> for Asked {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Problem> {
        let CallName(call_id) = CallName::from_request_parts(parts, api).await?;
        // The guard in front of every order has put it there.
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or_default();
        Ok(Self { api: api.clone(), caller, headers: parts.headers.clone(), call_id })
    }
}

impl Asked {
    async fn order(self, name: &str, body: &RawJson, order: Order) -> Result<Response, Problem> {
        self.carry_out(name, body, |handle| async move { handle.order(order).await }).await
    }

    /// Has the call do it, once for each Idempotency-Key.
    pub(in crate::http) async fn carry_out<F>(
        self,
        name: &str,
        body: &RawJson,
        work: impl FnOnce(CallHandle) -> F + Send + 'static,
    ) -> Result<Response, Problem>
    where
        F: Future<Output = Result<(), OrderError>> + Send + 'static,
    {
        let Self { api, caller, headers, call_id } = self;
        let request = [name.as_bytes(), call_id.as_bytes(), &body.0];
        let (exchange_api, named) = (api.clone(), call_id.clone());
        // Whether the call is up matters to the first request alone: one that comes again gets its answer.
        let done = async move {
            let handle = up(&exchange_api, &named).await?;
            let accepted = Accepted { call_id: handle.id.to_string(), status: "accepted" };
            work(handle).await.map_err(|error| refused(&error))?;
            Ok((StatusCode::ACCEPTED, json!(accepted).to_string()))
        };
        idempotency::once(&api, &caller, &headers, &request, done).await
    }
}

/// The call, which is up.
pub(super) async fn up(api: &Api, call_id: &str) -> Result<CallHandle, Problem> {
    if let Some(handle) = api.exchange.registry.find(&own_id(call_id)) {
        return Ok(handle);
    }
    find(api, call_id).await?;
    Err(refused(&OrderError::Over))
}

pub(super) fn refused(error: &OrderError) -> Problem {
    match error {
        OrderError::Refused(refusal) => {
            Problem::new(StatusCode::CONFLICT, refusal.code, refusal.message.clone())
        }
        OrderError::Over => Problem::new(StatusCode::CONFLICT, "call_over", "the call is over"),
        OrderError::Busy => {
            let detail = "the call has too many orders to carry out";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "call_busy", detail).with_retry_after(1)
        }
    }
}

/// What a refusal calls it.
const COMMAND: &str = "transfer";
/// How long each digit sounds.
const TONE: Duration = Duration::from_millis(100);
/// Characters of the name of an extension, a flow or a bot.
const NAME_CHARS_MAX: usize = 64;
/// Characters of a bot's address.
const URL_CHARS_MAX: usize = 2_048;
