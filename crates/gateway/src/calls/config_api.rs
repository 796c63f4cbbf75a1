//! Asks a number's CONFIG_API which bot takes a call (seed 000 §3A): one POST, at most one more when there was no
//! connection, all within five seconds.
//!
//! It runs inside the call's own task, on its worker: a caller who gives up drops it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use patchcord_core::call::FoundBot;
use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::{CallId, PhoneNumber, Reason, StreamId};
use serde::Serialize;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::bot_end::BotEnd;
use super::config_api_meter::{Outcome, Stopwatch};
use super::exchange::Exchange;
use crate::config::{AnsweredBot, BadAnswer, Config, ConfigAnswer, ConfigApi};
use crate::net::{HttpAnswer, HttpError, HttpRequest, HttpTerms, Trust, send};
use crate::store::{Fact, NamedCallback};

/// One question, ready to be asked.
pub struct Inquiry {
    exchange: Arc<Exchange>,
    config: Arc<Config>,
    api: ConfigApi,
    body: Bytes,
    phone: MediaFormat,
    call_id: CallId,
}

/// Who is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The call.
    pub call_id: &'a CallId,
    /// Who calls.
    pub from: &'a PhoneNumber,
    /// Who is called.
    pub to: &'a PhoneNumber,
    /// `SessionId`.
    pub stream_id: &'a StreamId,
    /// The caller's own header fields that may be told.
    pub sip_headers: &'a [(String, String)],
}

/// Seed 000's request, in its order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Question<'a> {
    from: &'a str,
    to: &'a str,
    direction: &'static str,
    flow_id: &'a str,
    session_id: &'a str,
    server_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<BTreeMap<&'a str, &'a str>>,
}

impl Inquiry {
    /// A question to `api` about a call of a phone that speaks `phone`.
    pub fn new(
        exchange: Arc<Exchange>,
        config: Arc<Config>,
        api: ConfigApi,
        asked: Asked<'_>,
        phone: MediaFormat,
    ) -> Self {
        let told = asked.sip_headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let question = Question {
            from: asked.from.as_str(),
            to: asked.to.as_str(),
            direction: "inbound",
            flow_id: &api.flow_id,
            session_id: asked.stream_id.as_str(),
            server_id: &config.server.id,
            headers: api.tells_sip_headers.then(|| told.collect()),
        };
        // Strings only: serialisation into memory has nothing to fail at.
        let body = serde_json::to_vec(&question).unwrap_or_default().into();
        let call_id = asked.call_id.clone();
        Self { exchange, config, api, body, phone, call_id }
    }

    /// Asks, and makes the bot of the answer.
    ///
    /// # Errors
    /// The call's reason; what exactly was wrong is logged.
    pub async fn ask(self) -> Result<(FoundBot, BotEnd), Reason> {
        let stopwatch = Stopwatch::start(&self.exchange.config_api);
        let answered = self.answer().await;
        let millis = stopwatch.stop(answered.as_ref().map_or_else(Refused::outcome, |_| Outcome::Answered));
        match answered {
            Ok(answer) => {
                self.name_callback(NamedCallback {
                    url: answer.callback.as_ref().map(|url| url.as_uri().to_string().into()),
                    custom_params: answer.custom.iter().cloned().collect(),
                });
                answer.notes.iter().for_each(|note| debug!(note, "config_api"));
                Ok(self.found(answer, millis))
            }
            Err(refused) => {
                // Nobody else will name an address.
                self.name_callback(NamedCallback::default());
                warn!(problem = %refused, millis, "config_api named no bot");
                Err(refused.reason())
            }
        }
    }

    /// Where the call is told of, and with what: the answer's word counts before the number's.
    fn name_callback(&self, named: NamedCallback) {
        let clock = self.exchange.clock;
        let page = self.exchange.chronicle().page((&self.call_id, clock.wall()));
        page.tell(Fact::Callback(named), clock.now());
    }

    async fn answer(&self) -> Result<ConfigAnswer<'_>, Refused> {
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let answer = match self.post(deadline).await {
            Err(error) if error.is_connection_failure() && Instant::now() + RETRY_PAUSE < deadline => {
                debug!(%error, "config_api is asked once more");
                tokio::time::sleep(RETRY_PAUSE).await;
                self.post(deadline).await
            }
            answered => answered,
        };
        let HttpAnswer { status, headers, body } = answer?;
        if status != StatusCode::OK {
            return Err(Refused::Status(status));
        }
        if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
            return Err(Refused::Answer(BadAnswer(
                "the answer is compressed, which was not asked for".to_owned(),
            )));
        }
        ConfigAnswer::parse(&body, &self.config).map_err(Refused::Answer)
    }

    async fn post(&self, deadline: Instant) -> Result<HttpAnswer, HttpError> {
        let mut headers = self.api.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let request =
            HttpRequest { method: Method::POST, url: &self.api.url, headers, body: self.body.clone() };
        let terms = HttpTerms { trust: &Trust::Operator, deadline, body_bytes_max: ANSWER_BYTES_MAX };
        send(&self.exchange.egress, request, terms).await
    }

    fn found(&self, answer: ConfigAnswer<'_>, millis: u64) -> (FoundBot, BotEnd) {
        let (bot, end) = match answer.bot {
            AnsweredBot::Named(choice) => self.exchange.bot(choice, self.phone),
            AnsweredBot::Described(bot) => {
                self.exchange.remote_bot(*bot, Trust::Outside(self.config.egress.clone()))
            }
        };
        info!(bot = %bot.name, dialect = bot.dialect, millis, "config_api answered");
        (FoundBot { bot, custom: answer.custom }, end)
    }
}

/// Why no bot was named.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("HTTP status {}", .0.as_u16())]
    Status(StatusCode),
    #[error(transparent)]
    Answer(BadAnswer),
}

impl Refused {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Http(HttpError::Unconnected(_) | HttpError::Unanswered(_)) => Outcome::Unreachable,
            Self::Http(HttpError::TooLate) => Outcome::Timeout,
            Self::Http(HttpError::TooLarge(_)) => Outcome::TooLarge,
            Self::Http(HttpError::Broken(_)) | Self::Answer(_) => Outcome::BadAnswer,
            Self::Status(_) => Outcome::Status,
        }
    }

    fn reason(&self) -> Reason {
        match self.outcome() {
            Outcome::Unreachable => Reason::ConfigApiUnreachable,
            Outcome::Timeout => Reason::ConfigApiTimeout,
            Outcome::Status => Reason::ConfigApiStatus,
            Outcome::TooLarge => Reason::ConfigApiTooLarge,
            Outcome::BadAnswer => Reason::ConfigApiBadAnswer,
            // Of these nothing was refused.
            Outcome::Answered | Outcome::Abandoned => Reason::Internal,
        }
    }
}

/// From the question to the whole answer, the second attempt included.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Before the second attempt: a server that is just being restarted gets a moment.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 64 << 10;
