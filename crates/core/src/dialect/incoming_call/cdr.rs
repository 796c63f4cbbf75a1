//! The call detail record of seed 002, both ways.

use std::time::Duration;

use super::wire::Cdr;
use super::{length, text};
use crate::dialect::Malformed;
use crate::dialect::json::{write_string, write_u64};
use crate::vocabulary::{
    CallRecord, CallStart, Cause, Counters, HungUpBy, Moment, PhoneNumber, Quality, REASONS, Reason,
    WallClock, q850_text,
};

/// Writes the record as a `cdr` message.
pub(super) fn write(to: &mut Vec<u8>, record: &CallRecord) {
    let time = |moment: Option<Moment>| moment.map(|moment| record.clock.iso8601(moment)).unwrap_or_default();
    let texts = |to: &mut Vec<u8>, fields: &[(&str, &str)]| {
        for (name, value) in fields {
            to.extend_from_slice(b",\"");
            to.extend_from_slice(name.as_bytes());
            to.extend_from_slice(b"\":");
            write_string(to, value);
        }
    };
    to.extend_from_slice(br#"{"event":"cdr""#);
    texts(
        to,
        &[
            ("sessionId", record.call_id.as_str()),
            ("destination", record.to.as_str()),
            ("startTime", &time(Some(record.started_at))),
            ("answerTime", &time(record.answered_at)),
            ("endTime", &time(Some(record.ended_at))),
        ],
    );
    to.extend_from_slice(br#","duration":"#);
    write_u64(to, record.duration_s());
    to.extend_from_slice(br#","billableSeconds":"#);
    write_u64(to, record.billable_s());
    texts(
        to,
        &[
            ("disposition", record.disposition()),
            ("hangupBy", by_word(record.hung_up_by)),
            ("hangupCauseCode", &record.q850().to_string()),
            ("hangupCauseText", q850_text(record.q850())),
        ],
    );
    to.push(b'}');
}

/// Reads a `cdr` message; what it does not say is taken from the call's start.
///
/// Its times of day become the record's own clock, so that the record's durations are the vendor's.
///
/// # Errors
/// Text that is no JSON object.
pub(super) fn read(wire: &str, start: &CallStart, now: Moment) -> Result<CallRecord, Malformed> {
    let cdr: Cdr<'_> = serde_json::from_str(wire).map_err(|_| Malformed::Field("cdr"))?;
    let told = Duration::from_secs(length(cdr.duration).unwrap_or_default());
    let billable = Duration::from_secs(length(cdr.billable_seconds).unwrap_or_default());
    let began = unix_ms(text(&cdr.start_time));
    let after_start =
        |field| began.zip(unix_ms(field)).map(|(began, at)| Duration::from_millis(at.saturating_sub(began)));
    let length = after_start(text(&cdr.end_time)).unwrap_or(told);
    let was_answered = text(&cdr.disposition) == ANSWERED;
    let rang = after_start(text(&cdr.answer_time)).unwrap_or(length.saturating_sub(billable));
    let started_at = Moment::START;
    // Without a time of day the record ends at this moment.
    let clock = match began {
        Some(began) => WallClock::new(began, started_at),
        None => {
            let ended = start.clock.unix_ms(now);
            let length_ms = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            WallClock::new(ended.saturating_sub(length_ms), started_at)
        }
    };
    let hung_up_by = by(text(&cdr.hangup_by));
    let to = cdr.destination.as_ref().map_or_else(|| start.to.clone(), |to| PhoneNumber::new(to.as_str()));
    Ok(CallRecord {
        call_id: start.call_id.clone(),
        stream_id: start.stream_id.clone(),
        phone_leg_id: start.call_id.as_str().into(),
        from: start.from.clone(),
        to,
        direction: start.direction,
        bot: "".into(),
        phone_dialect: super::ROW.name.into(),
        bot_dialect: "".into(),
        clock,
        started_at,
        answered_at: was_answered.then(|| started_at + rang),
        earlier_bots: Vec::new(),
        bot_failed_at: None,
        ended_at: started_at + length,
        cause: cause(&cdr, hung_up_by),
        hung_up_by,
        far_end: None,
        counters: Counters::default(),
        quality: Quality::default(),
        transfers: Vec::new(),
    })
}

/// The reason that fits the record best: one that says the same in this dialect's own words.
fn cause(cdr: &Cdr<'_>, hung_up_by: HungUpBy) -> Cause {
    let code = text(&cdr.hangup_cause_code).parse::<u8>().ok();
    let disposition = text(&cdr.disposition);
    // Of rows alike the first one is the commonest; `max_by_key` takes the last of equals.
    let best = REASONS.iter().rev().max_by_key(|row| {
        let alike = [row.by == hung_up_by, Some(row.q850) == code, row.disposition == disposition];
        alike.into_iter().filter(|alike| *alike).count()
    });
    Cause::new(best.map_or(Reason::CallerHungUp, |row| row.reason))
}

fn by_word(by: HungUpBy) -> &'static str {
    match by {
        HungUpBy::Caller => "caller",
        HungUpBy::Bot | HungUpBy::Agent => "callee",
        HungUpBy::System => "system",
    }
}

fn by(word: &str) -> HungUpBy {
    match word {
        "caller" => HungUpBy::Caller,
        "callee" => HungUpBy::Bot,
        _ => HungUpBy::System,
    }
}

/// Reads ISO 8601 with `Z`, an offset or neither (then it is UTC), as milliseconds since 1970.
fn unix_ms(text: &str) -> Option<u64> {
    let field = |at: std::ops::Range<usize>| text.get(at)?.parse::<u32>().ok().map(i64::from);
    let sign = |at: usize, signs: &[u8]| text.as_bytes().get(at).is_some_and(|byte| signs.contains(byte));
    if !(sign(4, b"-") && sign(7, b"-") && sign(10, b"T ") && sign(13, b":") && sign(16, b":")) {
        return None;
    }
    let (year, month, day) = (field(0..4)?, field(5..7)?, field(8..10)?);
    let (hour, minute, second) = (field(11..13)?, field(14..16)?, field(17..19)?);
    let rest = text.get(19..)?;
    let zone_at = rest.find(['Z', '+', '-']).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(zone_at);
    let millis = if fraction.is_empty() {
        0
    } else {
        let digits =
            fraction.strip_prefix('.').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        format!("{digits:0<3}").get(..3)?.parse::<i64>().ok()?
    };
    let offset_minutes = match zone {
        "" | "Z" => 0,
        _ => {
            let (hours, minutes) =
                (zone.get(1..3)?.parse::<u32>().ok()?, zone.get(zone.len().checked_sub(2)?..)?);
            let minutes = i64::from(hours * 60 + minutes.parse::<u32>().ok()?);
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    if !((1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61) {
        return None;
    }
    let minutes = days_since_1970(year, month, day) * 1_440 + hour * 60 + minute - offset_minutes;
    u64::try_from((minutes * 60 + second) * 1_000 + millis).ok()
}

/// Days from 1 January 1970 in the proleptic Gregorian calendar, by years that begin on 1 March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

/// The disposition of a call that was answered.
const ANSWERED: &str = "ANSWERED";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day_are_read_in_the_forms_that_vendors_write() {
        let at = 1_767_766_549_000;
        for (text, ms) in [
            ("2026-01-07T06:15:49Z", at),
            ("2026-01-07T06:15:49.25Z", at + 250),
            ("2026-01-07 06:15:49", at),
            ("2026-01-07T11:45:49.000+05:30", at),
            ("2026-01-07T05:15:49-0100", at),
            ("1970-01-01T00:00:00.000Z", 0),
        ] {
            assert_eq!(unix_ms(text), Some(ms), "{text}");
        }
        assert_eq!(WallClock::new(at, Moment::START).iso8601(Moment::START), "2026-01-07T06:15:49.000Z");
    }

    #[test]
    fn what_is_no_time_of_day_is_none() {
        for text in [
            "",
            "yesterday",
            "2026-13-07T06:15:49Z",
            "2026-01-07T06:15:49.xZ",
            "2026-01-07T06:15",
            "1960-01-01T00:00:00Z",
        ] {
            assert_eq!(unix_ms(text), None, "{text}");
        }
        assert_eq!(unix_ms("2026-01-07T06:15:49+é"), None);
    }
}
