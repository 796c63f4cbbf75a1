//! A call as it is stored: one row, from the first sign of the call for as long as rows are kept.

use std::collections::BTreeMap;

use patchcord_core::vocabulary::{CallOutcome, Direction, TransferReport};
use serde::{Deserialize, Serialize};

use super::engine::{Query, Row};
use super::rows::tuples;
use super::transfers;
use super::{CallStatus, StoreError};
use crate::config::WebUrl;

/// A call that begins. Times are milliseconds since 1970, UTC.
#[derive(Debug, Clone)]
pub struct NewCall {
    /// Our id of it.
    pub call_id: Box<str>,
    /// Our id of its stream.
    pub stream_id: Box<str>,
    /// Who is who, if that is known; a vendor says it later.
    pub parties: Option<StoredParties>,
    /// Who began it.
    pub direction: Direction,
    /// The bot's name in the configuration.
    pub bot: Box<str>,
    /// `sip` or a dialect's name.
    pub phone_dialect: Box<str>,
    /// `built-in` or a dialect's name.
    pub bot_dialect: Box<str>,
    /// When its first sign came.
    pub started_ms: u64,
    /// Where its events are posted.
    pub callback: CallbackAddress,
    /// What goes along with every event.
    pub custom_params: BTreeMap<String, String>,
    /// Whether its bot is an agent, whose calls leave files.
    pub leaves_files: bool,
}

/// Who is who, as the phone leg says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredParties {
    /// Who calls.
    pub from: Box<str>,
    /// Who is called.
    pub to: Box<str>,
    /// The phone leg's own id.
    pub phone_leg_id: Box<str>,
}

/// Where a call's events are posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackAddress {
    /// There, or nowhere.
    Known(Option<Box<str>>),
    /// Somebody is asked for it; if nobody names another, there. Its events wait for the answer.
    Asked(Option<Box<str>>),
}

impl CallbackAddress {
    /// That address, which nobody is asked for.
    pub fn known(url: Option<&WebUrl>) -> Self {
        Self::Known(url.map(text_of))
    }

    /// That address, unless somebody who is asked names another.
    pub fn asked(url: Option<&WebUrl>) -> Self {
        Self::Asked(url.map(text_of))
    }
}

fn text_of(url: &WebUrl) -> Box<str> {
    url.as_uri().to_string().into()
}

/// A stored call. Times are milliseconds since 1970, UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredCall {
    /// Our id of it.
    pub call_id: String,
    /// The server that has, or had, it.
    pub server: String,
    /// Our id of its stream with the last bot.
    pub stream_id: String,
    /// The phone leg's own id.
    pub phone_leg_id: String,
    /// Who calls; empty while a vendor has not said it.
    pub from: String,
    /// Who is called.
    pub to: String,
    /// Who began it.
    pub direction: Direction,
    /// Where it stands.
    pub status: CallStatus,
    /// The last bot's name in the configuration.
    pub bot: String,
    /// `sip` or a dialect's name.
    pub phone_dialect: String,
    /// `built-in` or a dialect's name.
    pub bot_dialect: String,
    /// Whether `from`, `to` and `phone_leg_id` are known; before, nothing is told of the call.
    pub parties_known: bool,
    /// When its first sign came.
    pub started_ms: u64,
    /// When it rang.
    pub ringing_ms: Option<u64>,
    /// When it was answered.
    pub answered_ms: Option<u64>,
    /// When it was over.
    pub ended_ms: Option<u64>,
    /// Why it ended.
    pub cause: Option<StoredCause>,
    /// Where its events are posted.
    pub callback_url: Option<String>,
    /// Whether `callback_url` is final; before, nothing is posted.
    pub callback_known: bool,
    /// What goes along with every event.
    pub custom_params: BTreeMap<String, String>,
    /// Its transfers, in order; their moments are milliseconds since 1970, see [`UNIX_CLOCK`](super::UNIX_CLOCK).
    pub transfers: Vec<TransferReport>,
    /// The file of the bot's part.
    pub bot_recording: Option<String>,
    /// The file of the whole call.
    pub full_recording: Option<String>,
    /// Its record, as it stands in `calls.jsonl`.
    pub record: Option<String>,
    /// How long its bot let the caller wait: the median of its answers, ms.
    pub response_ms: Option<u64>,
}

/// Why a call ended, in the words of the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCause {
    /// Who has to look into it.
    pub class: String,
    /// One word.
    pub reason: String,
    /// Q.850 cause number.
    pub q850: u8,
    /// `caller`, `bot` or `system`.
    pub hung_up_by: String,
}

impl StoredCall {
    /// The row of a call that begins on `server`.
    pub(super) fn begun(new: &NewCall, server: &str) -> Self {
        let (callback, callback_known) = match &new.callback {
            CallbackAddress::Known(url) => (url, true),
            CallbackAddress::Asked(url) => (url, false),
        };
        let parties = new.parties.as_ref();
        let party = |of: fn(&StoredParties) -> &str| parties.map_or("", of).to_owned();
        Self {
            call_id: new.call_id.to_string(),
            server: server.to_owned(),
            stream_id: new.stream_id.to_string(),
            phone_leg_id: party(|parties| &parties.phone_leg_id),
            from: party(|parties| &parties.from),
            to: party(|parties| &parties.to),
            direction: new.direction,
            status: CallStatus::Initiated,
            bot: new.bot.to_string(),
            phone_dialect: new.phone_dialect.to_string(),
            bot_dialect: new.bot_dialect.to_string(),
            parties_known: parties.is_some(),
            started_ms: new.started_ms,
            ringing_ms: None,
            answered_ms: None,
            ended_ms: None,
            cause: None,
            callback_url: callback.as_deref().map(str::to_owned),
            callback_known,
            custom_params: new.custom_params.clone(),
            transfers: Vec::new(),
            bot_recording: None,
            full_recording: None,
            record: None,
            response_ms: None,
        }
    }

    /// Whole seconds from the first sign to the end, or to `now_ms` while it is up.
    pub fn duration_s(&self, now_ms: u64) -> u64 {
        self.ended_ms.unwrap_or(now_ms).saturating_sub(self.started_ms) / 1_000
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<CallOutcome> {
        match self.status {
            CallStatus::Ended(outcome) => Some(outcome),
            CallStatus::Initiated | CallStatus::Ringing | CallStatus::InProgress => None,
        }
    }

    /// The statement that writes so many calls: new ones, and what can change of the others.
    pub(super) fn write_all<'a>(calls: impl Iterator<Item = &'a Self>, count: usize) -> Query {
        let columns = COLUMNS.split(", ").count();
        let rows = tuples(count, columns, 1);
        let query = Query::composed(format!("INSERT INTO calls ({COLUMNS}) VALUES {rows} {ON_CONFLICT}"));
        calls.fold(query, |query, call| call.with_changing(call.with_fixed(query)))
    }

    fn with_fixed(&self, query: Query) -> Query {
        query
            .text(&self.call_id)
            .text(&self.server)
            .text(direction_word(self.direction))
            .text(&self.phone_dialect)
            .whole(self.started_ms)
            .text(&json(&self.custom_params))
    }

    fn with_changing(&self, query: Query) -> Query {
        let cause = self.cause.as_ref();
        query
            .text(&self.stream_id)
            .text(&self.phone_leg_id)
            .text(&self.from)
            .text(&self.to)
            .text(self.status.word())
            .text(&self.bot)
            .text(&self.bot_dialect)
            .whole(self.parties_known.into())
            .maybe_whole(self.ringing_ms)
            .maybe_whole(self.answered_ms)
            .maybe_whole(self.ended_ms)
            .maybe_text(cause.map(|cause| cause.class.as_str()))
            .maybe_text(cause.map(|cause| cause.reason.as_str()))
            .maybe_whole(cause.map(|cause| cause.q850.into()))
            .maybe_text(cause.map(|cause| cause.hung_up_by.as_str()))
            .maybe_text(self.callback_url.as_deref())
            .whole(self.callback_known.into())
            .text(&transfers::format(&self.transfers))
            .maybe_text(self.bot_recording.as_deref())
            .maybe_text(self.full_recording.as_deref())
            .maybe_text(self.record.as_deref())
            .maybe_whole(self.response_ms)
    }

    /// Reads a row of [`COLUMNS`].
    pub(super) fn read(mut row: Row) -> Result<Self, StoreError> {
        let row = &mut row;
        Ok(Self {
            call_id: row.text()?,
            server: row.text()?,
            direction: direction(&row.text()?)?,
            phone_dialect: row.text()?,
            started_ms: row.whole()?,
            custom_params: parse(&row.text()?)?,
            stream_id: row.text()?,
            phone_leg_id: row.text()?,
            from: row.text()?,
            to: row.text()?,
            status: CallStatus::find(&row.text()?).ok_or(StoreError::Unreadable("the status of a call"))?,
            bot: row.text()?,
            bot_dialect: row.text()?,
            parties_known: row.whole()? != 0,
            ringing_ms: row.maybe_whole()?,
            answered_ms: row.maybe_whole()?,
            ended_ms: row.maybe_whole()?,
            cause: StoredCause::read(row)?,
            callback_url: row.maybe_text()?,
            callback_known: row.whole()? != 0,
            transfers: transfers::parse(&row.text()?)?,
            bot_recording: row.maybe_text()?,
            full_recording: row.maybe_text()?,
            record: row.maybe_text()?,
            response_ms: row.maybe_whole()?,
        })
    }
}

impl StoredCause {
    fn read(row: &mut Row) -> Result<Option<Self>, StoreError> {
        let words = (row.maybe_text()?, row.maybe_text()?, row.maybe_whole()?, row.maybe_text()?);
        let (Some(class), Some(reason), Some(q850), Some(hung_up_by)) = words else { return Ok(None) };
        Ok(Some(Self { class, reason, q850: u8::try_from(q850).unwrap_or(0), hung_up_by }))
    }
}

/// The word of a direction.
pub fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

fn direction(word: &str) -> Result<Direction, StoreError> {
    match word {
        "inbound" => Ok(Direction::Inbound),
        "outbound" => Ok(Direction::Outbound),
        _ => Err(StoreError::Unreadable("the direction of a call")),
    }
}

pub(super) fn json(value: &impl Serialize) -> String {
    // Maps with text for keys, lists and numbers: serialisation into memory has nothing to fail at.
    serde_json::to_string(value).unwrap_or_default()
}

pub(super) fn parse<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| StoreError::Unreadable("a call's JSON"))
}

/// The columns in the order in which they are read.
pub(super) const COLUMNS: &str = "call_id, server, direction, phone_dialect, started_ms, custom_params, stream_id, \
    phone_leg_id, from_number, to_number, status, bot, bot_dialect, parties_known, ringing_ms, answered_ms, ended_ms, \
    cause_class, cause_reason, q850, hung_up_by, callback_url, callback_known, transfers, bot_recording, \
    full_recording, record, response_ms";

const ON_CONFLICT: &str = "ON CONFLICT (call_id) DO UPDATE SET custom_params = excluded.custom_params, stream_id = excluded.stream_id, \
    phone_leg_id = excluded.phone_leg_id, from_number = excluded.from_number, to_number = excluded.to_number, \
    status = excluded.status, bot = excluded.bot, bot_dialect = excluded.bot_dialect, \
    parties_known = excluded.parties_known, ringing_ms = excluded.ringing_ms, answered_ms = excluded.answered_ms, \
    ended_ms = excluded.ended_ms, cause_class = excluded.cause_class, cause_reason = excluded.cause_reason, \
    q850 = excluded.q850, hung_up_by = excluded.hung_up_by, callback_url = excluded.callback_url, \
    callback_known = excluded.callback_known, transfers = excluded.transfers, \
    bot_recording = excluded.bot_recording, full_recording = excluded.full_recording, record = excluded.record, \
    response_ms = excluded.response_ms";
