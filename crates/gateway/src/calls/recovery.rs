//! What a process that died left behind is put right at the next start, before the first call.
//!
//! Every call that was up has ended: by its line in `calls.jsonl` if it came to one, else as failed, cause
//! `us/restart`. Every ended call whose line the disk did not get to keep gets it, and every line whose call the
//! database did not get to keep gets its row. So there is one end, one event of
//! it, one delivery and one line each, however often the process dies in between.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use anyhow::Context;
use patchcord_core::agent::is_agent;
use patchcord_core::vocabulary::{
    CallId, CallRecord, Cause, Counters, Direction, LegReport, LegStatus, Moment, PhoneNumber, Quality,
    Reason, StreamId, TransferReport, TransferStatus, WallClock,
};
use serde::Deserialize;
use tracing::{info, warn};

use super::records::{FILE_NAME, Records};
use crate::clock::unix_ms;
use crate::config::Config;
use crate::store::{
    CallFilter, CallStatus, CallbackAddress, EndedCall, Fact, NewCall, Store, StoredCall, StoredCause,
    StoredParties,
};
use crate::tasks::blocking;

/// Ends the calls that were up and completes `calls.jsonl` in `data_dir`.
///
/// # Errors
/// When the database or the file cannot be read, or the database takes no writes.
pub async fn recover(store: &Store, records: &Records, config: &Config) -> anyhow::Result<()> {
    store.release_open_keys(unix_ms()).await.context("storage.database")?;
    let up = store.calls_up().await.context("storage.database")?;
    let newest = store.list_calls(&CallFilter::default(), None, 1).await.context("storage.database")?;
    if newest.is_empty() {
        return Ok(());
    }
    let path = config.server.data_dir.join(FILE_NAME);
    let tail = blocking(move || Tail::read(&path)).await.transpose().context(FILE_NAME)?.unwrap_or_default();
    let last_sign = store.last_event_ms().await.context("storage.database")?.unwrap_or(0);
    let alive = store.last_sign_of_life_ms().await.context("storage.database")?.max(last_sign);
    let mut found = 0;
    let mut ended_here = HashSet::new();
    for call in up {
        let (fact, line, at_ms) = match tail.lines.get(&call.call_id) {
            Some(line) => {
                found += 1;
                let ended_ms = unix_ms_of(&line.fields.ended_at).unwrap_or(call.started_ms);
                let end = line.end();
                let transfers = closed(&call.transfers, Moment::from_millis(ended_ms), end.cause.q850);
                (EndedCall { transfers, ..end }, None, ended_ms)
            }
            None => {
                ended_here.insert(call.call_id.clone());
                let record = broken_off(&call, alive.max(last_word_ms(store, &call).await?));
                let line = records.line(&record);
                (
                    ended_by_restart(&call, &record, line.clone()),
                    Some(line),
                    record.clock.unix_ms(record.ended_at),
                )
            }
        };
        let stored = store.tell_acknowledged(&call.call_id, Fact::Ended(Box::new(fact)), at_ms).await;
        stored.context("a call that was up could not be closed")?;
        if let Some(line) = line {
            records.append(line);
        }
    }
    let unknown = adopt(store, config, &tail, last_sign).await?;
    let lost = complete(store, records, (&tail, &ended_here), last_sign).await?;
    let ended = ended_here.len();
    if ended + found + lost + unknown > 0 {
        info!(ended, found, lost, unknown, "calls of the process before this one were put in order");
    }
    Ok(())
}

/// Stores the calls that ended just before the end of the process, or were refused, and have only their line.
async fn adopt(store: &Store, config: &Config, tail: &Tail, last_sign: u64) -> anyhow::Result<usize> {
    let mut adopted = 0;
    for line in tail.lines.values() {
        let fields = &line.fields;
        let (Some(started_ms), Some(ended_ms)) =
            (unix_ms_of(&fields.started_at), unix_ms_of(&fields.ended_at))
        else {
            continue;
        };
        let is_late =
            ended_ms >= last_sign.saturating_sub(LINES_LATE_MS) && fields.server == config.server.id;
        if !is_late || store.find_call(&fields.call_id).await.context("storage.database")?.is_some() {
            continue;
        }
        let new = NewCall {
            call_id: fields.call_id.as_str().into(),
            stream_id: fields.stream_id.as_str().into(),
            parties: Some(fields.parties()),
            direction: if fields.direction == "outbound" { Direction::Outbound } else { Direction::Inbound },
            bot: fields.bot.as_str().into(),
            phone_dialect: fields.phone_dialect.as_str().into(),
            bot_dialect: fields.bot_dialect.as_str().into(),
            started_ms,
            callback: CallbackAddress::known(config.callbacks_of(&fields.to)),
            custom_params: BTreeMap::new(),
            leaves_files: is_agent(&fields.bot_dialect),
        };
        adopted += 1;
        store.begin_call_unawaited(new, started_ms);
        let stored =
            store.tell_acknowledged(&fields.call_id, Fact::Ended(Box::new(line.end())), ended_ms).await;
        stored.context("a call that has only its line could not be stored")?;
    }
    Ok(adopted)
}

/// Appends the lines of calls that ended just before the end of the process, or since the disk took the last line, and
/// are not in the file.
async fn complete(
    store: &Store,
    records: &Records,
    (tail, ended_here): (&Tail, &HashSet<String>),
    last_sign: u64,
) -> anyhow::Result<usize> {
    let last_line = tail.last_ms.unwrap_or(last_sign);
    let since = last_sign.min(last_line).saturating_sub(LINES_LATE_MS).max(tail.since_ms);
    let mut lost = 0;
    for call in store.calls_ended_since(since).await.context("storage.database")? {
        let is_here = tail.lines.contains_key(&call.call_id) || ended_here.contains(&call.call_id);
        if let Some(record) = call.record.filter(|_| !is_here) {
            lost += 1;
            records.append(record);
        }
    }
    Ok(lost)
}

/// When the last utterance of a call ended that is stored, ms since 1970; 0 if none is.
async fn last_word_ms(store: &Store, call: &StoredCall) -> anyhow::Result<u64> {
    let said = store.utterances_of(&call.call_id).await.context("storage.database")?;
    let last = said.iter().map(|utterance| utterance.end).max();
    let since_began = last.and_then(|end| u64::try_from(end.as_millis()).ok());
    Ok(since_began.map_or(0, |since_began| call.started_ms.saturating_add(since_began)))
}

/// The record of a call that its process did not survive: it ended, as far as anybody knows, when the last thing
/// was heard of it or of any other call.
fn broken_off(call: &StoredCall, last_sign: u64) -> CallRecord {
    let clock = WallClock::new(call.started_ms, Moment::START);
    let moment = |unix_ms: u64| Moment::from_millis(unix_ms.saturating_sub(call.started_ms));
    let cause = Cause::new(Reason::Restart);
    let ended_ms = last_sign.max(call.answered_ms.unwrap_or(call.started_ms)).min(unix_ms());
    let transfers = closed(&call.transfers, Moment::from_millis(ended_ms), cause.row().q850);
    CallRecord {
        call_id: CallId::from_wire(&call.call_id),
        stream_id: StreamId::from_wire(&call.stream_id),
        phone_leg_id: call.phone_leg_id.as_str().into(),
        from: PhoneNumber::new(&call.from),
        to: PhoneNumber::new(&call.to),
        direction: call.direction,
        bot: call.bot.as_str().into(),
        earlier_bots: Vec::new(),
        phone_dialect: call.phone_dialect.as_str().into(),
        bot_dialect: call.bot_dialect.as_str().into(),
        clock,
        started_at: Moment::START,
        answered_at: call.answered_ms.map(moment),
        bot_failed_at: None,
        ended_at: moment(ended_ms),
        cause,
        hung_up_by: cause.by(),
        far_end: None,
        counters: Counters::default(),
        quality: Quality::default(),
        transfers,
    }
}

/// The transfers of a call that ended at `ended_at`: who talked has talked, what was tried has failed.
fn closed(transfers: &[TransferReport], ended_at: Moment, q850: u8) -> Vec<TransferReport> {
    let leg = |leg: &LegReport| {
        let status = match leg.status {
            LegStatus::Answered => LegStatus::Completed,
            LegStatus::Ringing => LegStatus::Failed,
            _ => return leg.clone(),
        };
        LegReport { status, q850: Some(q850), ended_at: Some(ended_at), ..leg.clone() }
    };
    let transfer = |transfer: &TransferReport| {
        let legs = transfer.legs.iter().map(leg).collect();
        let status = match transfer.status {
            TransferStatus::Answered => TransferStatus::Completed,
            TransferStatus::Initiating => TransferStatus::Failed,
            _ => return TransferReport { legs, ..transfer.clone() },
        };
        TransferReport { status, q850: Some(q850), ended_at: Some(ended_at), legs, ..transfer.clone() }
    };
    transfers.iter().map(transfer).collect()
}

fn ended_by_restart(call: &StoredCall, record: &CallRecord, line: String) -> EndedCall {
    let row = record.cause.row();
    EndedCall {
        outcome: record.cause.outcome(record.answered_at.is_some()),
        cause: StoredCause {
            class: row.class.word().to_owned(),
            reason: row.word.to_owned(),
            q850: row.q850,
            hung_up_by: record.hung_up_by.word().to_owned(),
        },
        parties: known_parties(call),
        stream_id: call.stream_id.as_str().into(),
        bot: call.bot.as_str().into(),
        bot_dialect: call.bot_dialect.as_str().into(),
        answered_ms: call.answered_ms,
        transfers: record.transfers.clone(),
        record: Some(line),
    }
}

fn known_parties(call: &StoredCall) -> StoredParties {
    StoredParties {
        from: call.from.as_str().into(),
        to: call.to.as_str().into(),
        phone_leg_id: call.phone_leg_id.as_str().into(),
    }
}

/// The end of `calls.jsonl`.
#[derive(Default)]
struct Tail {
    lines: HashMap<String, TailLine>,
    /// Calls that ended before may have lines that were not read.
    since_ms: u64,
    /// When the call of the last line ended.
    last_ms: Option<u64>,
}

/// What of a line the store wants to know.
struct TailLine {
    text: String,
    fields: Fields,
}

#[derive(Deserialize)]
struct Fields {
    server: String,
    call_id: String,
    stream_id: String,
    phone_leg_id: String,
    from: String,
    to: String,
    direction: String,
    bot: String,
    phone_dialect: String,
    bot_dialect: String,
    started_at: String,
    answered_at: Option<String>,
    ended_at: String,
    hung_up_by: String,
    #[serde(default)]
    status: Option<String>,
    cause: CauseFields,
}

#[derive(Deserialize)]
struct CauseFields {
    reason: String,
    #[serde(default)]
    q850: Option<u8>,
}

impl Tail {
    fn read(path: &Path) -> io::Result<Self> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let length = file.seek(SeekFrom::End(0))?;
        let from = length.saturating_sub(TAIL_BYTES_MAX);
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES_MAX).read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        // A file that was cut begins in the midst of a line.
        let lines = text.lines().skip(usize::from(from > 0));
        let mut tail = Self::default();
        for text in lines {
            let Ok(fields) = serde_json::from_str::<Fields>(text) else { continue };
            if from > 0 && tail.lines.is_empty() {
                tail.since_ms = unix_ms_of(&fields.ended_at).unwrap_or(u64::MAX);
            }
            tail.last_ms = unix_ms_of(&fields.ended_at).or(tail.last_ms);
            tail.lines.insert(fields.call_id.clone(), TailLine { text: text.to_owned(), fields });
        }
        Ok(tail)
    }
}

impl TailLine {
    /// The end that the line tells.
    fn end(&self) -> EndedCall {
        let Fields { stream_id, bot, bot_dialect, .. } = &self.fields;
        let answered_ms = self.fields.answered_at.as_deref().and_then(unix_ms_of);
        let cause = Cause::new(Reason::find(&self.fields.cause.reason).unwrap_or_else(|| {
            warn!("a line of calls.jsonl has a cause that is not known here");
            Reason::Internal
        }));
        let row = cause.row();
        let told = match self.fields.status.as_deref().and_then(CallStatus::find) {
            Some(CallStatus::Ended(outcome)) => Some(outcome),
            _ => None,
        };
        EndedCall {
            outcome: told.unwrap_or_else(|| cause.outcome(answered_ms.is_some())),
            cause: StoredCause {
                class: row.class.word().to_owned(),
                reason: row.word.to_owned(),
                q850: self.fields.cause.q850.unwrap_or(row.q850),
                hung_up_by: self.fields.hung_up_by.clone(),
            },
            parties: self.fields.parties(),
            stream_id: stream_id.as_str().into(),
            bot: bot.as_str().into(),
            bot_dialect: bot_dialect.as_str().into(),
            answered_ms,
            transfers: Vec::new(),
            record: Some(self.text.clone()),
        }
    }
}

impl Fields {
    fn parties(&self) -> StoredParties {
        StoredParties {
            from: self.from.as_str().into(),
            to: self.to.as_str().into(),
            phone_leg_id: self.phone_leg_id.as_str().into(),
        }
    }
}

/// Milliseconds since 1970 of a time as records write it: `2024-02-06T07:35:01.500Z`.
fn unix_ms_of(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second, ms) = (number(11..13)?, number(14..16)?, number(17..19)?, number(20..23)?);
    // Years begin in March, so that a leap day is the last of its year.
    let year_from_march = if month < 3 { year.checked_sub(1)? } else { year };
    let month_from_march = (month + 9) % 12;
    let leap_days = year_from_march / 4 - year_from_march / 100 + year_from_march / 400;
    let days = year_from_march * 365 + leap_days + (month_from_march * 153 + 2) / 5 + day.checked_sub(1)?;
    let days = days.checked_sub(DAYS_TO_1970)?;
    Some((((days * 24 + hour) * 60 + minute) * 60 + second) * 1_000 + ms)
}

/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_1970: u64 = 719_468;

/// How far a line of `calls.jsonl` may be behind the store, in milliseconds.
const LINES_LATE_MS: u64 = 60_000;

/// Bytes of `calls.jsonl` that are looked through.
const TAIL_BYTES_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_core::vocabulary::iso8601;

    #[test]
    fn a_time_reads_back_as_it_was_written_across_leap_days() {
        for unix_ms in [0, 951_782_400_123, 1_707_204_901_500, 1_709_164_800_000, 4_107_542_399_999] {
            assert_eq!(unix_ms_of(&iso8601(unix_ms)), Some(unix_ms));
        }
        for wrong in ["", "yesterday", "2024-02-06", "0000-01-01T00:00:00.000Z"] {
            assert_eq!(unix_ms_of(wrong), None, "{wrong}");
        }
    }
}
