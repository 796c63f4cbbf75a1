//! Which calls a list or an export is of: the parameters that both read.

use patchcord_core::vocabulary::{CauseClass, Direction};
use utoipa::IntoParams;

use crate::http::problem::Problem;
use crate::http::query::Parameters;
use crate::http::time::parse_rfc3339;
use crate::store::{CallFilter, CallStatus, FieldsState};

/// What calls can be chosen by.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it describes what is read below")]
pub struct FilterParameters {
    /// In that status
    #[param(pattern = "^(initiated|ringing|in-progress|completed|busy|no-answer|failed|canceled)$")]
    status: Option<String>,
    /// `inbound` or `outbound`
    #[param(pattern = "^(inbound|outbound)$")]
    direction: Option<String>,
    /// From that number, as received
    #[param(min_length = 1, max_length = 128)]
    from: Option<String>,
    /// To that number, as received
    #[param(min_length = 1, max_length = 128)]
    to: Option<String>,
    /// With that bot
    #[param(min_length = 1, max_length = 64)]
    bot: Option<String>,
    /// Begun then or later, RFC 3339: `2024-02-06T07:15:00Z`
    #[param(format = DateTime)]
    since: Option<String>,
    /// Begun before then, RFC 3339
    #[param(format = DateTime)]
    until: Option<String>,
    /// Over for a cause of that class: who has to look into it
    #[param(pattern = "^(completed|caller|bot|upstream|us)$")]
    cause: Option<String>,
    /// With a recording, or without one
    recorded: Option<bool>,
    /// In which something that the bot said was not heard, or not to its end; or none such
    unheard: Option<bool>,
    /// Whose extraction of fields stands there
    #[param(pattern = "^(absent|live|final|failed)$")]
    fields: Option<String>,
    /// With this text in a number, an id, or what was said, whatever its case
    #[param(min_length = 1, max_length = 128)]
    q: Option<String>,
}

/// Reads what calls are chosen by.
///
/// # Errors
/// 400 that names the parameter.
pub fn read(query: &mut Parameters) -> Result<CallFilter, Problem> {
    let words = "one of initiated, ringing, in-progress, completed, busy, no-answer, failed, canceled";
    let time = "a time as in 2024-02-06T07:15:00Z";
    Ok(CallFilter {
        status: query.parsed("status", words, CallStatus::find)?,
        direction: query.parsed("direction", "inbound or outbound", direction)?,
        from: query.text("from", TEXT_CHARS_MAX)?,
        to: query.text("to", TEXT_CHARS_MAX)?,
        bot: query.text("bot", BOT_CHARS_MAX)?,
        since_ms: query.parsed("since", time, parse_rfc3339)?,
        until_ms: query.parsed("until", time, parse_rfc3339)?,
        cause_class: query.parsed("cause", "one of completed, caller, bot, upstream, us", class)?,
        recorded: query.parsed("recorded", "true or false", |word| word.parse().ok())?,
        unheard: query.parsed("unheard", "true or false", |word| word.parse().ok())?,
        fields: query.parsed("fields", "one of absent, live, final, failed", FieldsState::find)?,
        text: query.text("q", TEXT_CHARS_MAX)?,
    })
}

fn direction(word: &str) -> Option<Direction> {
    match word {
        "inbound" => Some(Direction::Inbound),
        "outbound" => Some(Direction::Outbound),
        _ => None,
    }
}

fn class(word: &str) -> Option<String> {
    use CauseClass::{Bot, Caller, Completed, Upstream, Us};
    let known = [Completed, Caller, Bot, Upstream, Us].map(CauseClass::word);
    known.contains(&word).then(|| word.to_owned())
}

/// Characters of a number or a text that is looked for.
const TEXT_CHARS_MAX: usize = 128;
/// Characters of a bot's name that is looked for.
const BOT_CHARS_MAX: usize = 64;
