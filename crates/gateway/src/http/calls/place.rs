//! `POST /calls`: a call out, with a bot that the configuration or the request describes (seed 000 §3B).

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use patchcord_core::call::{BotJoins, CUSTOM_BYTES_MAX, CUSTOM_MAX};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::calls::{PlaceCall, PlaceError, PlacedBot};
use crate::config::{Bot, Config, DescribedBot, RecordingFormat, RecordingWish, WebUrl};
use crate::http::access::Caller;
use crate::http::api::Api;
use crate::http::body::{RawJson, escaped};
use crate::http::idempotency::{self, Done};
use crate::http::openapi::PlaceProblems;
use crate::http::problem::Problem;
use crate::http::wish::{check_line, check_number, check_way};
use crate::jobs::callback_trust;
use crate::net::Trust;

/// A call to place: whom to call, and who talks, `wsUrl` or `bot`. The keys of a mapping (seed 000 §9) go with `wsUrl`
/// and make its dialect `custom`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCall)]
pub struct CallWish {
    /// The number that is shown; the trunk's usual one without.
    #[schema(example = "7415100898", pattern = "^[+]?[0-9*#]{1,31}$")]
    from: Option<String>,
    /// The number or the extension to call.
    #[serde(rename = "callTo")]
    #[schema(example = "9876543210", pattern = "^[+]?[0-9*#]{1,31}$")]
    call_to: String,
    /// The bot's WebSocket, `wss://…` or `ws://…`.
    #[serde(rename = "wsUrl")]
    #[schema(example = "wss://your-bot.example.com/voice", max_length = 2048)]
    ws_url: Option<String>,
    /// Headers of the WebSocket request.
    #[serde(rename = "wsHeaders")]
    ws_headers: Option<BTreeMap<String, String>>,
    /// The bot's audio.
    #[serde(rename = "audioFormat")]
    audio_format: Option<AudioFormat>,
    /// The bot's language; without it `ivr-solutions`, or `custom` where mapping keys are there.
    #[schema(example = "ivr-solutions")]
    dialect: Option<String>,
    /// A bot of the configuration instead of `wsUrl`.
    #[schema(example = "sales")]
    bot: Option<String>,
    /// Where the call's status is posted.
    #[schema(example = "https://api.example.com/status", max_length = 2048)]
    status_callback_url: Option<String>,
    /// The same by its other name.
    #[schema(max_length = 2048)]
    callback_url: Option<String>,
    /// Names and values that go along, to the bot and in callbacks; at most 64.
    custom_params: Option<BTreeMap<String, Param>>,
    /// When the bot joins: at the `answer`, or `early`, while it rings.
    connect: Option<Connect>,
    /// How long it may ring, in seconds; as `[outbound] ring` says without.
    #[schema(minimum = 1, maximum = 180)]
    ring_timeout: Option<u32>,
    /// How long it may last from the answer on, in seconds; never longer than the trunk allows.
    #[schema(minimum = 1, maximum = 86400)]
    max_duration: Option<u32>,
    /// `true`, or how it is recorded from its answer on; without, or with `false`, only when somebody asks for it.
    recording: Option<RecordingChoice>,
    /// `binary` or `json`.
    #[serde(rename = "messageType")]
    message_type: Option<String>,
    /// What the caller's audio is sent in.
    #[serde(rename = "inputTemplate")]
    input_template: Option<Template>,
    /// The type of messages with the bot's audio.
    #[serde(rename = "outputMessageType")]
    output_message_type: Option<String>,
    /// Where in them the audio stands.
    #[serde(rename = "outputAudioPath")]
    output_audio_path: Option<String>,
    /// What is sent first.
    #[serde(rename = "sessionStartMessage")]
    session_start_message: Option<Template>,
    /// The message that is a clear.
    #[serde(rename = "outputClear")]
    output_clear: Option<Answer>,
    /// The message that is a hang-up.
    #[serde(rename = "outputHangup")]
    output_hangup: Option<Answer>,
    /// The message that is a mark.
    #[serde(rename = "outputMark")]
    output_mark: Option<Answer>,
    /// The message that is digits.
    #[serde(rename = "outputDtmf")]
    output_dtmf: Option<Answer>,
    /// The message that is a transfer.
    #[serde(rename = "outputTransfer")]
    output_transfer: Option<Answer>,
    /// What a mark is told by.
    #[serde(rename = "inputMark")]
    input_mark: Option<Template>,
    /// What a digit is told by.
    #[serde(rename = "inputDtmf")]
    input_dtmf: Option<Template>,
    /// What the end is told by.
    #[serde(rename = "inputStop")]
    input_stop: Option<Template>,
}

/// A bot's audio.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AudioFormat {
    /// `pcm`, `linear16`, `slin`; `mulaw`, `ulaw`, `g711_ulaw`; `alaw`.
    #[schema(example = "pcm")]
    encoding: Option<String>,
    /// Samples per second.
    #[serde(rename = "sampleRate")]
    #[schema(example = 8000)]
    sample_rate: Option<u32>,
}

/// Whether a call is recorded, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "true, false, or an object with format or mask_digits")]
pub enum RecordingChoice {
    /// As `[recording]` says, or not at all.
    Flag(bool),
    /// It is, and differently.
    How(RecordingHow),
}

/// How a call is recorded, where that is not as `[recording]` says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordingHow {
    /// `wav` or `opus`.
    #[schema(example = "opus")]
    format: Option<String>,
    /// Whether keys that sound in the caller's audio are erased.
    mask_digits: Option<bool>,
}

/// A message to a bot by mapping: JSON, or its text.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(untagged, expecting = "a message, or its text")]
pub enum Template {
    /// Its text.
    Text(String),
    /// The message itself.
    #[schema(value_type = Object)]
    Message(Map<String, Value>),
}

/// A message of a bot by mapping.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MappedMessage)]
pub struct Answer {
    /// Its type.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    matches: Option<String>,
    /// Where in it the value stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// A value of `custom_params`.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "a text, a number, true or false")]
pub enum Param {
    /// A text.
    Text(String),
    /// A number.
    Number(serde_json::Number),
    /// True or false.
    Flag(bool),
}

impl PartialSchema for Param {
    fn schema() -> RefOr<Schema> {
        let types = SchemaType::from_iter([Type::String, Type::Number, Type::Boolean]);
        ObjectBuilder::new().schema_type(types).description(Some("A value; its text goes along")).into()
    }
}

impl ToSchema for Param {}

/// When the bot joins.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Connect {
    /// When the phone has answered.
    Answer,
    /// While it rings.
    Early,
}

/// A call that is under way.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlacedCall {
    /// Its id.
    #[schema(example = "call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    call_id: String,
    /// `initiated`.
    #[schema(example = "initiated")]
    status: &'static str,
}

/// Place a call
#[utoipa::path(
    post,
    path = "/calls",
    operation_id = "place_call",
    tag = "calls",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same request with the same key is carried out once and answered alike, for 24 hours", pattern = "^[!-~]{1,255}$")),
    request_body(content = CallWish, example = json!({ "callTo": "9876543210", "bot": "echo" })),
    responses((status = 201, description = "It is stored and under way", body = PlacedCall), PlaceProblems),
)]
pub async fn place(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: RawJson,
) -> Result<Response, Problem> {
    let order = body.parse::<CallWish>()?.check(&api.exchange.config())?;
    let exchange = api.exchange.clone();
    let work = async move {
        let call_id = exchange.place_call(order).await.map_err(refused)?;
        let placed = PlacedCall { call_id: call_id.to_string(), status: "initiated" };
        let body = json!(placed).to_string();
        Ok::<Done, Problem>((StatusCode::CREATED, body))
    };
    idempotency::once(&api, &caller, &headers, &[b"POST /calls", &body.0], work).await
}

impl CallWish {
    fn check(mut self, config: &Config) -> Result<PlaceCall, Problem> {
        let from = self.from.take().map(|from| check_number("/from", from)).transpose()?;
        let to = check_number("/callTo", std::mem::take(&mut self.call_to))?;
        let callback = match (self.status_callback_url.take(), self.callback_url.take()) {
            (Some(_), Some(_)) => {
                return Err(wrong("/callback_url", "it means the same as status_callback_url"));
            }
            (Some(url), None) => Some(check_web_url("/status_callback_url", url, config)?),
            (None, Some(url)) => Some(check_web_url("/callback_url", url, config)?),
            (None, None) => None,
        };
        let ring = seconds("/ring_timeout", self.ring_timeout, RING_SECONDS_MAX)?;
        let max_duration = seconds("/max_duration", self.max_duration, DURATION_SECONDS_MAX)?;
        let custom_params = check_params(self.custom_params.take().unwrap_or_default())?;
        let joins = match self.connect {
            None | Some(Connect::Answer) => BotJoins::AtTheAnswer,
            Some(Connect::Early) => BotJoins::WhileItRings,
        };
        let recording = check_recording(self.recording.take())?;
        let bot = self.bot(config)?;
        Ok(PlaceCall { from, to, bot, custom_params, callback, joins, ring, max_duration, recording })
    }

    fn bot(mut self, config: &Config) -> Result<PlacedBot, Problem> {
        let mapping = self.mapping();
        match (self.bot.take(), self.ws_url.take()) {
            (Some(name), None) => {
                let beside = [
                    ("wsHeaders", self.ws_headers.is_some()),
                    ("audioFormat", self.audio_format.is_some()),
                    ("dialect", self.dialect.is_some()),
                ];
                let beside = beside.into_iter().find(|(_, is_there)| *is_there).map(|(name, _)| name);
                match beside.or(mapping.keys().next().map(String::as_str)) {
                    Some(field) => Err(wrong(&format!("/{field}"), "it goes with wsUrl, not with bot")),
                    None => Ok(PlacedBot::Named(check_line("/bot", name, BOT_CHARS_MAX)?)),
                }
            }
            (None, Some(url)) => {
                let bot = self.described(url, mapping)?;
                check_way("/wsUrl", &bot.url, &Trust::Outside(config.egress.clone()))?;
                Ok(PlacedBot::Described(Box::new(bot)))
            }
            (Some(_), Some(_)) => Err(wrong("/bot", "expected wsUrl or bot, not both")),
            (None, None) => Err(Problem::field("missing_field", "/wsUrl", "there is neither wsUrl nor bot")),
        }
    }

    fn described(self, url: String, mapping: Map<String, Value>) -> Result<Bot, Problem> {
        let url = check_line("/wsUrl", url, URL_CHARS_MAX)?;
        let mut headers = Map::new();
        for (name, value) in self.ws_headers.unwrap_or_default() {
            let pointer = format!("/wsHeaders/{}", escaped(&name));
            let name = check_line(&pointer, name, HEADER_NAME_CHARS_MAX)?;
            // An empty value is a value.
            let value = if value.is_empty() { value } else { check_line(&pointer, value, HEADER_CHARS_MAX)? };
            headers.insert(name, value.into());
        }
        let (encoding, sample_rate) = match self.audio_format {
            Some(AudioFormat { encoding, sample_rate }) => {
                (encoding.map(Value::from), sample_rate.map(Value::from))
            }
            None => (None, None),
        };
        let described = DescribedBot { url, dialect: self.dialect, headers, encoding, sample_rate, mapping };
        described.check(API_BOT).map_err(|wrong_field| {
            let names = wrong_field.path.iter().map(|name| if name == "url" { "wsUrl" } else { name });
            let pointer: String = names.map(|name| format!("/{}", escaped(name))).collect();
            wrong(&pointer, &wrong_field.what)
        })
    }

    /// The keys of the mapping, as they stand on the wire.
    fn mapping(&mut self) -> Map<String, Value> {
        let texts = [
            ("messageType", self.message_type.take()),
            ("outputMessageType", self.output_message_type.take()),
            ("outputAudioPath", self.output_audio_path.take()),
        ];
        let templates = [
            ("inputTemplate", self.input_template.take()),
            ("sessionStartMessage", self.session_start_message.take()),
            ("inputMark", self.input_mark.take()),
            ("inputDtmf", self.input_dtmf.take()),
            ("inputStop", self.input_stop.take()),
        ];
        let answers = [
            ("outputClear", self.output_clear.take()),
            ("outputHangup", self.output_hangup.take()),
            ("outputMark", self.output_mark.take()),
            ("outputDtmf", self.output_dtmf.take()),
            ("outputTransfer", self.output_transfer.take()),
        ];
        let texts = texts.map(|(name, text)| (name, text.map(Value::from)));
        let templates = templates.map(|(name, template)| (name, template.map(|template| json!(template))));
        let answers = answers.map(|(name, answer)| (name, answer.map(|answer| json!(answer))));
        let all = texts.into_iter().chain(templates).chain(answers);
        all.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn check_recording(choice: Option<RecordingChoice>) -> Result<Option<RecordingWish>, Problem> {
    let how = match choice {
        None | Some(RecordingChoice::Flag(false)) => return Ok(None),
        Some(RecordingChoice::Flag(true)) => return Ok(Some(RecordingWish::default())),
        Some(RecordingChoice::How(how)) => how,
    };
    let format = match how.format.as_deref() {
        None => None,
        Some("wav") => Some(RecordingFormat::Wav),
        Some("opus") => Some(RecordingFormat::Opus),
        Some(_) => return Err(wrong("/recording/format", "expected wav or opus")),
    };
    Ok(Some(RecordingWish { format, consent: None, mask_digits: how.mask_digits }))
}

fn check_web_url(pointer: &str, text: String, config: &Config) -> Result<Box<str>, Problem> {
    let text = check_line(pointer, text, URL_CHARS_MAX)?;
    let url = WebUrl::parse(&text).map_err(|refusal| wrong(pointer, &refusal.what))?;
    check_way(pointer, &url, &callback_trust(config, &url))?;
    Ok(text.into())
}

fn check_params(params: BTreeMap<String, Param>) -> Result<BTreeMap<String, String>, Problem> {
    if params.len() > CUSTOM_MAX {
        return Err(wrong("/custom_params", &format!("expected at most {CUSTOM_MAX} names")));
    }
    let checked = params.into_iter().map(|(name, value)| {
        let value = match value {
            Param::Text(text) => text,
            Param::Number(number) => number.to_string(),
            Param::Flag(flag) => flag.to_string(),
        };
        if name.len() > CUSTOM_BYTES_MAX || value.len() > CUSTOM_BYTES_MAX {
            let detail = format!("expected a name and a value of at most {CUSTOM_BYTES_MAX} bytes each");
            return Err(wrong(&format!("/custom_params/{}", escaped(&name)), &detail));
        }
        Ok((name, value))
    });
    checked.collect()
}

fn seconds(pointer: &str, given: Option<u32>, max: u32) -> Result<Option<Duration>, Problem> {
    match given {
        Some(seconds) if !(1..=max).contains(&seconds) => {
            Err(wrong(pointer, &format!("expected 1 to {max} seconds")))
        }
        given => Ok(given.map(|seconds| Duration::from_secs(seconds.into()))),
    }
}

fn wrong(pointer: &str, what: &str) -> Problem {
    Problem::field("bad_field", pointer, what)
}

fn refused(error: PlaceError) -> Problem {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let pointer = match error {
        PlaceError::BadNumber => Some("/callTo"),
        PlaceError::BadCaller => Some("/from"),
        PlaceError::UnknownBot => Some("/bot"),
        _ => None,
    };
    let problem = match pointer {
        Some(pointer) => Problem::field(error.code(), pointer, error.to_string()),
        None => Problem::new(status, error.code(), error.to_string()),
    };
    match error.retry_after_s() {
        Some(seconds) => problem.with_retry_after(u32::try_from(seconds).unwrap_or(u32::MAX)),
        None => problem,
    }
}

/// The name of a bot that a request describes.
const API_BOT: &str = "api";
/// Characters of an address.
const URL_CHARS_MAX: usize = 2_048;
/// Characters of a header's name.
const HEADER_NAME_CHARS_MAX: usize = 128;
/// Characters of a header's value.
const HEADER_CHARS_MAX: usize = 8_192;
/// Characters of a bot's name.
const BOT_CHARS_MAX: usize = 64;
/// Seconds that a phone may ring.
const RING_SECONDS_MAX: u32 = 180;
/// Seconds that a call may last: a day.
const DURATION_SECONDS_MAX: u32 = 86_400;
