//! `GET /talk/ws`: the door of the page that talks: a vendor that speaks `ivr-solutions`, let in by key or session, that
//! meets a bot of the configuration or one that it describes.
//!
//! A described bot's address came from outside and goes through the guard like every other that did.

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use patchcord_core::dialect::WireAudio;
use patchcord_core::dialect::registry::{self, DialectRow};
use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::Reason;

use super::api::Api;
use super::openapi::CommandProblems;
use super::pass::Pass;
use super::problem::{Problem, ProblemBody};
use super::query::Parameters;
use super::upgrade::Upgrade;
use super::vendors::refusal;
use crate::calls::vendor::{self, VendorBot, VendorRoute};
use crate::calls::{CallHandle, CallOrder};
use crate::config::{Bot, Config, DescribedBot};

/// Talk to a bot
///
/// A WebSocket on which the caller is the platform of `ivr-solutions` (docs/dialects.md): it sends `connected`, `start`
/// with its parties and audio, then audio, digits and answered marks, and hears the bot. The first message to it is
/// `{"event":"call","call_id":…}`, our id of the call.
#[utoipa::path(
    get,
    path = "/talk/ws",
    operation_id = "talk",
    tag = "calls",
    params(
        ("bot" = Option<String>, Query, description = "A bot of the configuration, or a built-in one", max_length = 64),
        ("url" = Option<String>, Query, description = "Instead of it, the address of one: ws:// or wss://", max_length = 2048),
        ("dialect" = Option<String>, Query, description = "The language of the one at `url`; ivr-solutions without", max_length = 64),
        ("rate" = Option<u32>, Query, description = "Samples per second of the caller's linear audio: 8000, 16000 or 24000; 16000 without", minimum = 8000, maximum = 24000),
    ),
    responses(
        (status = 101, description = "The WebSocket is open"),
        (status = 426, description = "It is no WebSocket handshake", body = ProblemBody, content_type = "application/problem+json"),
        CommandProblems,
    ),
)]
pub async fn talk(
    State(api): State<Api>,
    Extension(pass): Extension<Pass>,
    query: Parameters,
    mut request: Request,
) -> Result<Response, Problem> {
    let wish = Wish::read(query)?;
    let config = api.exchange.config();
    let bot = wish.bot(&config)?;
    let row = platform()?;
    let upgrade = Upgrade::of(&mut request)?;
    let response = upgrade.response();
    let audio = WireAudio { format: MediaFormat::linear16(wish.rate), frame: row.default_audio.frame };
    let route = VendorRoute { row, audio, mapping: None, bot, country: None, is_told_id: true };
    let call_id = vendor::take(&api.exchange, route, upgrade.socket()).map_err(refusal)?;
    if let Some(handle) = api.exchange.registry.find(&call_id) {
        let stop = api.exchange.tasks.stop().clone();
        api.exchange.tasks.spawn("talk", async move {
            tokio::select! {
                () = until_lost(&handle, &pass) => {}
                () = stop.cancelled() => {}
            }
        });
    }
    Ok(response)
}

/// Ends the call when whoever talks may not any more; resolves when it is over or asked to be.
async fn until_lost(handle: &CallHandle, pass: &Pass) {
    tokio::select! {
        () = handle.mailbox.closed() => {}
        () = pass.lost() => {
            // A call that is gone meanwhile takes no orders.
            let _ = handle.mailbox.send(CallOrder::HangUp(Reason::Asked)).await;
        }
    }
}

/// What the page wants.
struct Wish {
    bot: Option<String>,
    url: Option<String>,
    dialect: Option<String>,
    rate: u32,
}

impl Wish {
    fn read(mut query: Parameters) -> Result<Self, Problem> {
        let wish = Self {
            bot: query.text("bot", NAME_CHARS_MAX)?,
            url: query.text("url", URL_CHARS_MAX)?,
            dialect: query.text("dialect", NAME_CHARS_MAX)?,
            rate: query.parsed("rate", "8000, 16000 or 24000", rate)?.unwrap_or(USUAL_RATE),
        };
        query.finish()?;
        Ok(wish)
    }

    fn bot<'a>(&self, config: &'a Config) -> Result<VendorBot<'a>, Problem> {
        match (&self.bot, &self.url) {
            (Some(name), None) if self.dialect.is_none() => {
                let bot = config.find_bot(name).ok_or_else(|| {
                    Problem::new(StatusCode::NOT_FOUND, "unknown_bot", "no bot has this name")
                })?;
                Ok(VendorBot::Configured(bot))
            }
            (Some(_), None) => Err(wrong("dialect", "it goes with url, not with bot")),
            (None, Some(url)) => self.described(url).map(|bot| VendorBot::Described(Box::new(bot))),
            (Some(_), Some(_)) => Err(wrong("url", "expected bot or url, not both")),
            (None, None) => Err(wrong("bot", "there is neither bot nor url")),
        }
    }

    fn described(&self, url: &str) -> Result<Bot, Problem> {
        let (url, dialect) = (url.to_owned(), self.dialect.clone());
        let described = DescribedBot { url, dialect, ..DescribedBot::default() };
        described.check(TALK_BOT).map_err(|wrong_field| {
            let name =
                if wrong_field.path.first().is_some_and(|name| name == "url") { "url" } else { "dialect" };
            wrong(name, &wrong_field.what)
        })
    }
}

fn rate(text: &str) -> Option<u32> {
    text.parse().ok().filter(|rate| RATES.contains(rate))
}

fn wrong(name: &str, detail: &str) -> Problem {
    Problem::parameter("bad_parameter", name, detail)
}

/// The language of the page.
fn platform() -> Result<&'static DialectRow, Problem> {
    registry::find(PAGE_DIALECT).ok_or_else(|| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the page's language is not spoken here")
    })
}

/// The language of the page.
const PAGE_DIALECT: &str = "ivr-solutions";
/// The name of a bot that the page describes.
const TALK_BOT: &str = "talk";
/// The rates of the page's audio.
const RATES: [u32; 3] = [8_000, 16_000, 24_000];
const USUAL_RATE: u32 = 16_000;
/// Characters of a bot's or a dialect's name.
const NAME_CHARS_MAX: usize = 64;
/// Characters of an address.
const URL_CHARS_MAX: usize = 2_048;
