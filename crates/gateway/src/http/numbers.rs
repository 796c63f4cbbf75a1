//! `/numbers`: who takes the calls of which number.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::openapi::KeyProblems;
use crate::config::{CountryCode, Number, Taker, WebUrl};

/// All entries of `[[numbers]]`.
#[derive(Debug, Serialize, ToSchema)]
pub struct NumberList {
    /// In the order of the file: the first match takes a call.
    data: Vec<ShownNumber>,
}

/// An entry of `[[numbers]]`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Number)]
pub struct ShownNumber {
    /// The number; `91*` is a beginning, `*` any number.
    #[schema(example = "18001234567")]
    number: String,
    /// The bot that takes its calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sales")]
    bot: Option<String>,
    /// The flow that takes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sales_flow")]
    flow: Option<String>,
    /// The extension whose phones ring.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "101")]
    extension: Option<String>,
    /// The origin of the CONFIG_API that is asked for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://api.example.com")]
    config_api: Option<String>,
    /// What the caller gets when the bot cannot be reached.
    #[schema(example = "sorry")]
    fallback: String,
    /// The calling code that national numbers lack.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "91")]
    country: Option<String>,
    /// Whether callers hear a bot before it answers.
    early_media: bool,
    /// The origin of where the status of its calls is posted, if not where all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "https://api.example.com")]
    callbacks: Option<String>,
}

/// The numbers of the configuration
#[utoipa::path(
    get,
    path = "/numbers",
    operation_id = "list_numbers",
    tag = "configuration",
    responses((status = 200, description = "All numbers, first match first", body = NumberList), KeyProblems),
)]
pub async fn list(State(api): State<Api>) -> Json<NumberList> {
    Json(NumberList { data: api.exchange.config().numbers.iter().map(ShownNumber::of).collect() })
}

impl ShownNumber {
    fn of(number: &Number) -> Self {
        let (mut bot, mut flow, mut extension, mut config_api) = (None, None, None, None);
        match &number.taker {
            Taker::Bot(name) => bot = Some(name.clone()),
            Taker::Flow(name) => flow = Some(name.clone()),
            Taker::Extension(number) => extension = Some(number.clone()),
            Taker::ConfigApi(api) => config_api = Some(api.url.origin()),
        }
        Self {
            number: number.number.to_string(),
            bot,
            flow,
            extension,
            config_api,
            fallback: number.fallback.to_string(),
            country: number.country.as_ref().map(CountryCode::as_str).map(str::to_owned),
            early_media: number.early_media,
            callbacks: number.callbacks.as_ref().map(WebUrl::origin),
        }
    }
}
