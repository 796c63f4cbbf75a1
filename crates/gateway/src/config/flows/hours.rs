//! The table `hours` of a step: a week of openings, holidays, and the distance from UTC.

use patchcord_core::flow::{Holiday, Opening, OpeningHours, Step, Target};

use super::super::problem::Refusal;
use super::fields::Fields;
use super::targets::Names;

/// Reads the step `hours` of the flow number `flow`.
pub(super) fn read(step: &Fields<'_>, names: &Names<'_>, flow: usize) -> Option<Step> {
    let fields = step.table("hours")?;
    fields.check_known(&["zone", "week", "holidays", "open", "closed"]);
    fields.require("week", "for example week = { mon-fri = \"09:00-18:00\", sat = \"10:00-14:00\" }");
    fields.require("closed", "name where callers go outside these hours");
    let mut hours = OpeningHours {
        offset_minutes: fields.make("zone", zone).unwrap_or(0),
        holidays: fields.list("holidays", holiday),
        ..OpeningHours::default()
    };
    for (days, openings) in fields.entries("week", |days, text| Ok((self::days(days)?, openings(text)?))) {
        for day in days {
            if let Some(own) = hours.week.get_mut(day) {
                own.extend(&openings);
            }
        }
    }
    let open = match fields.has("open") {
        true => fields.make("open", |text| names.target(text, flow))?,
        false => Target::Next,
    };
    let closed = fields.make("closed", |text| names.target(text, flow))?;
    Some(Step::Hours { hours, open, closed })
}

/// `UTC`, `Z`, or `+05:30`: minutes ahead of UTC.
fn zone(text: &str) -> Result<i32, Refusal> {
    let refusal = || {
        let cure = "UTC, or the distance from it: \"+05:30\", \"-03:00\"; summer time needs a new value";
        Refusal::new(format!("\"{text}\" is no zone"), cure)
    };
    if ["UTC", "Z"].contains(&text) {
        return Ok(0);
    }
    let (sign, rest) = match (text.strip_prefix('+'), text.strip_prefix('-')) {
        (Some(rest), _) => (1, rest),
        (_, Some(rest)) => (-1, rest),
        (None, None) => return Err(refusal()),
    };
    let minutes = time(rest).filter(|minutes| *minutes <= ZONE_MINUTES_MAX).ok_or_else(refusal)?;
    i32::try_from(minutes).map(|minutes| sign * minutes).map_err(|_| refusal())
}

/// `mon`, `mon-fri`, `daily`: days of the week, Monday is 0.
fn days(text: &str) -> Result<Vec<usize>, Refusal> {
    let day = |word: &str| DAYS.iter().position(|day| *day == word);
    let refusal = || {
        let known: Vec<&str> = DAYS.into_iter().chain(["daily"]).collect();
        Refusal {
            cure: "mon to sun, a stretch as mon-fri, or daily".to_owned(),
            ..Refusal::unknown("day", text, &known)
        }
    };
    if text == "daily" {
        return Ok((0..7).collect());
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = day(first).zip(day(last)).ok_or_else(refusal)?;
    // A stretch may go over Sunday.
    Ok((first..=if last < first { last + 7 } else { last }).map(|day| day % 7).collect())
}

/// `09:00-12:30, 13:30-18:00`.
fn openings(text: &str) -> Result<Vec<Opening>, Refusal> {
    let opening = |part: &str| {
        let (from, to) = part.trim().split_once('-')?;
        let (from, to) = (time(from)?, time(to)?);
        (from < DAY_MINUTES && to <= DAY_MINUTES && from != to).then_some(Opening { from, to })
    };
    text.split(',').map(opening).collect::<Option<_>>().ok_or_else(|| {
        Refusal::new(
            format!("\"{text}\" are no opening hours"),
            "09:00-18:00, several with commas; 22:00-06:00 goes on until the next morning",
        )
    })
}

/// `2026-01-26`, or `01-26` for every year.
fn holiday(text: &str) -> Result<Holiday, Refusal> {
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u64>().ok())?
    };
    let parts: Vec<&str> = text.split('-').collect();
    let date = match parts.as_slice() {
        [year, month, day] => number(year, 4).map(Some).zip(number(month, 2).zip(number(day, 2))),
        [month, day] => Some(None).zip(number(month, 2).zip(number(day, 2))),
        _ => None,
    };
    date.filter(|(year, (month, day))| {
        let is_leap = year.is_none_or(|year| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0);
        let length = match month {
            2 => 28 + u64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            _ => 0,
        };
        (1..=length).contains(day)
    })
    .map(|(year, (month, day))| Holiday { year, month, day })
    .ok_or_else(|| Refusal::new(format!("\"{text}\" is no day"), "2026-01-26, or 01-26 for every year"))
}

/// `HH:MM` in minutes, up to 24:00.
fn time(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let good = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !good(hours) || !good(minutes) {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (minutes < 60).then_some(hours * 60 + minutes).filter(|total| *total <= DAY_MINUTES)
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const DAY_MINUTES: u32 = 24 * 60;

/// The furthest that any clock is from UTC.
const ZONE_MINUTES_MAX: u32 = 14 * 60;
