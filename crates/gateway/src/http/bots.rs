//! `/bots`: whom calls may lead to, without addresses' paths and without headers.

use axum::Json;
use axum::extract::State;
use patchcord_core::dialect::WireAudio;
use patchcord_core::media::Encoding;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::openapi::KeyProblems;
use crate::config::{Bot, BuiltInBot};

/// All bots.
#[derive(Debug, Serialize, ToSchema)]
pub struct BotList {
    /// The built-in ones first.
    data: Vec<ShownBot>,
}

/// A bot.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Bot)]
pub struct ShownBot {
    /// Its name in the file, which calls name.
    #[schema(example = "sales")]
    name: String,
    /// `built-in`, or `remote` with an address.
    #[schema(example = "remote")]
    kind: &'static str,
    /// The name that people see.
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    /// Scheme, host and port; a path may hold a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "wss://bot.example.com")]
    origin: Option<String>,
    /// The language that it speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ivr-solutions")]
    dialect: Option<&'static str>,
    /// The audio that it takes and gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    audio: Option<ShownAudio>,
}

/// A bot's audio.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Audio)]
pub struct ShownAudio {
    /// `linear16`, `mulaw` or `alaw`.
    #[schema(example = "linear16")]
    encoding: &'static str,
    /// Samples per second.
    #[schema(example = 8000)]
    sample_rate: u32,
    /// Audio in one message, in milliseconds.
    #[schema(example = 20)]
    frame_ms: u64,
}

/// The bots of the configuration
#[utoipa::path(
    get,
    path = "/bots",
    operation_id = "list_bots",
    tag = "configuration",
    responses((status = 200, description = "All bots", body = BotList), KeyProblems),
)]
pub async fn list(State(api): State<Api>) -> Json<BotList> {
    let config = api.exchange.config();
    let built_in = BuiltInBot::ALL.into_iter().map(ShownBot::built_in);
    Json(BotList { data: built_in.chain(config.bots.iter().map(ShownBot::remote)).collect() })
}

impl ShownBot {
    fn built_in(bot: BuiltInBot) -> Self {
        let name = bot.as_str().to_owned();
        Self { name, kind: "built-in", display_name: None, origin: None, dialect: None, audio: None }
    }

    fn remote(bot: &Bot) -> Self {
        Self {
            name: bot.name.clone(),
            kind: "remote",
            display_name: bot.display_name.clone(),
            origin: Some(bot.url.origin()),
            dialect: Some(bot.dialect.as_str()),
            audio: Some(ShownAudio::of(bot.audio)),
        }
    }
}

impl ShownAudio {
    fn of(audio: WireAudio) -> Self {
        let format = audio.format;
        Self {
            encoding: match format.encoding {
                Encoding::Linear16 => "linear16",
                Encoding::Pcmu => "mulaw",
                Encoding::Pcma => "alaw",
            },
            sample_rate: format.sample_rate,
            frame_ms: audio.frame.as_millis().try_into().unwrap_or(u64::MAX),
        }
    }
}
