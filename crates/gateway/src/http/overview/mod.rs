//! `GET /overview`: the state of everything on one page, and what needs somebody's attention.
//!
//! Counted from indexes of the store, so that it takes milliseconds with many thousands of calls in its window.

mod attention;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use patchcord_core::vocabulary::{CallOutcome, iso8601};
use serde::Serialize;
use utoipa::ToSchema;

use self::attention::Attention;
use super::api::Api;
use super::calls::unavailable;
use super::openapi::ReadProblems;
use super::problem::Problem;
use super::query::Parameters;
use super::watch::TrunkCounts;
use crate::calls::CALLS_MAX;
use crate::clock::unix_ms;
use crate::store::{BotTally, CallStatus, CallTally, ExtractionState, OpenDeliveries};

/// The state of everything.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overview {
    /// When this was so.
    #[schema(format = DateTime)]
    at: String,
    /// What needs somebody's attention, the worst first.
    attention: Vec<Attention>,
    /// Calls that are up on this server.
    calls_up: usize,
    /// Calls that may be up at a time.
    calls_max: usize,
    /// The last hour, minute by minute, the current minute last.
    minutes: Vec<Slot>,
    /// The last 24 hours, hour by hour, the current hour last.
    hours: Vec<Slot>,
    /// How the calls that began in the last 24 hours ended, and why.
    ends: Vec<Ends>,
    /// How long bots let callers wait in the calls of the last 24 hours, over each call's median.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response>,
    /// The bots that had calls in the last 24 hours, the busiest first.
    bots: Vec<BotDay>,
    /// The trunks by which calls go out.
    trunks: TrunkCounts,
    /// Callbacks that nobody has taken.
    deliveries: Open,
}

/// The calls that began in a slot of time.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = CallSlot)]
pub struct Slot {
    /// When it begins.
    #[schema(format = DateTime)]
    at: String,
    /// That are up.
    up: u64,
    /// That were answered and ended.
    completed: u64,
    /// That were busy, not answered, or given up by their caller.
    unanswered: u64,
    /// That failed.
    failed: u64,
}

/// Calls that ended for one reason.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CallEnds)]
pub struct Ends {
    /// `completed`, `busy`, `no-answer`, `failed` or `canceled`.
    #[schema(example = "completed")]
    status: &'static str,
    /// Who has to look into it: `completed`, `caller`, `bot`, `upstream` or `us`.
    #[schema(example = "completed")]
    class: String,
    /// Our own word for the reason.
    #[schema(example = "caller_hung_up")]
    reason: String,
    /// How many.
    calls: u64,
}

/// Response times, in milliseconds.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ResponseSpread)]
pub struct Response {
    /// Calls that have one.
    calls: u64,
    /// Half of them were as fast.
    #[schema(example = 640)]
    p50_ms: u64,
    /// Nineteen of twenty were as fast.
    #[schema(example = 1180)]
    p95_ms: u64,
}

/// A bot's last 24 hours.
#[derive(Debug, Serialize, ToSchema)]
pub struct BotDay {
    /// Its name in the configuration.
    #[schema(example = "sales")]
    name: String,
    /// Its calls.
    calls: u64,
    /// Those that ended by the bot's fault.
    failed: u64,
    /// The reason of the newest of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "bot_unreachable")]
    last_failure: Option<String>,
    /// When its last call began.
    #[schema(format = DateTime)]
    last_call_at: String,
    /// How long it let callers wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<Response>,
}

/// Callbacks that nobody has taken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenDeliveries)]
pub struct Open {
    /// Still tried.
    pending: u64,
    /// Given up; they can be sent again.
    dead: u64,
}

/// The state of everything on one page
#[utoipa::path(
    get,
    path = "/overview",
    operation_id = "show_overview",
    tag = "watch",
    responses((status = 200, description = "The state of everything", body = Overview), ReadProblems),
)]
pub async fn show(State(api): State<Api>, query: Parameters) -> Result<Json<Overview>, Problem> {
    query.finish()?;
    let (store, now_ms) = (&api.exchange.store, unix_ms());
    let minutes_since = first_slot(now_ms, MINUTE_MS, MINUTES);
    let hours_since = first_slot(now_ms, HOUR_MS, HOURS);
    let read = async {
        tokio::try_join!(
            store.tally_calls(minutes_since, MINUTE_MS),
            store.tally_calls(hours_since, HOUR_MS),
            store.tally_bots(now_ms.saturating_sub(HOURS * HOUR_MS)),
            store.tally_bots(now_ms.saturating_sub(HOUR_MS)),
            store.response_times(now_ms.saturating_sub(HOURS * HOUR_MS)),
            store.open_deliveries(),
            store.count_extractions(ExtractionState::Dead),
        )
    };
    let (minutes, hours, day, hour, times, open, unextracted) = read.await.map_err(unavailable)?;
    let trunks = api.exchange.trunk_lines.statuses();
    let calls_up = api.exchange.registry.totals().active;
    Ok(Json(Overview {
        at: iso8601(now_ms),
        attention: attention::find(&api, &trunks, &hour, (open, unextracted), calls_up),
        calls_up,
        calls_max: CALLS_MAX,
        minutes: slots(&minutes, minutes_since, MINUTE_MS, MINUTES),
        hours: slots(&hours, hours_since, HOUR_MS, HOURS),
        ends: ends(&day),
        response: Response::over(times.iter().map(|(_, ms)| *ms).collect()),
        bots: bots(&day, &times),
        trunks: TrunkCounts::of(&trunks),
        deliveries: Open::of(open),
    }))
}

/// When the first of `count` slots begins, if the last one holds this moment.
fn first_slot(now_ms: u64, slot_ms: u64, count: u64) -> u64 {
    (now_ms / slot_ms + 1).saturating_sub(count) * slot_ms
}

fn slots(tallies: &[CallTally], since_ms: u64, slot_ms: u64, count: u64) -> Vec<Slot> {
    let mut slots: Vec<Slot> =
        (0..count).map(|slot| Slot { at: iso8601(since_ms + slot * slot_ms), ..Slot::default() }).collect();
    for tally in tallies {
        let at = usize::try_from(tally.at_ms.saturating_sub(since_ms) / slot_ms).unwrap_or(usize::MAX);
        // A call of the next slot, if the clock went on meanwhile.
        let Some(slot) = slots.get_mut(at) else { continue };
        match tally.status {
            CallStatus::Initiated | CallStatus::Ringing | CallStatus::InProgress => slot.up += tally.calls,
            CallStatus::Ended(CallOutcome::Completed) => slot.completed += tally.calls,
            CallStatus::Ended(CallOutcome::Failed) => slot.failed += tally.calls,
            CallStatus::Ended(CallOutcome::Busy | CallOutcome::NoAnswer | CallOutcome::Canceled) => {
                slot.unanswered += tally.calls;
            }
        }
    }
    slots
}

fn ends(day: &[BotTally]) -> Vec<Ends> {
    let mut sums = BTreeMap::<_, u64>::new();
    for tally in day {
        if let (CallStatus::Ended(_), Some((class, reason))) = (tally.status, &tally.cause) {
            *sums.entry((tally.status.word(), class, reason)).or_default() += tally.calls;
        }
    }
    let end = |((status, class, reason), calls): ((&'static str, &String, &String), u64)| Ends {
        status,
        class: class.clone(),
        reason: reason.clone(),
        calls,
    };
    let mut ends: Vec<_> = sums.into_iter().map(end).collect();
    ends.sort_by_key(|entry| std::cmp::Reverse(entry.calls));
    ends
}

fn bots(day: &[BotTally], times: &[(String, u64)]) -> Vec<BotDay> {
    let mut by_name = BTreeMap::<&str, Vec<&BotTally>>::new();
    for tally in day.iter().filter(|tally| !tally.bot.is_empty()) {
        by_name.entry(&tally.bot).or_default().push(tally);
    }
    let mut bots: Vec<_> = by_name
        .into_iter()
        .map(|(name, tallies)| {
            let failures = tallies.iter().filter_map(|tally| {
                let (class, reason) = tally.cause.as_ref()?;
                (class == BOT_CLASS).then_some((tally.last_ms, reason, tally.calls))
            });
            let own = times.iter().filter(|(bot, _)| bot == name).map(|(_, ms)| *ms).collect();
            BotDay {
                name: name.to_owned(),
                calls: tallies.iter().map(|tally| tally.calls).sum(),
                failed: failures.clone().map(|(.., calls)| calls).sum(),
                last_failure: failures.max().map(|(_, reason, _)| reason.clone()),
                last_call_at: iso8601(tallies.iter().map(|tally| tally.last_ms).max().unwrap_or(0)),
                response: Response::over(own),
            }
        })
        .collect();
    bots.sort_by_key(|entry| std::cmp::Reverse(entry.calls));
    bots.truncate(BOTS_MAX);
    bots
}

impl Response {
    /// The spread of these times; none of none.
    fn over(mut times: Vec<u64>) -> Option<Self> {
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() * share).div_ceil(100).max(1) - 1).copied();
        Some(Self { calls: times.len() as u64, p50_ms: at(50)?, p95_ms: at(95)? })
    }
}

impl Open {
    fn of(open: OpenDeliveries) -> Self {
        Self { pending: open.pending, dead: open.dead }
    }
}

/// The class of an end that is the bot's fault.
const BOT_CLASS: &str = "bot";
const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Minutes that are shown one by one.
const MINUTES: u64 = 60;
/// Hours that are shown one by one.
const HOURS: u64 = 24;
/// Bots that are shown.
const BOTS_MAX: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(bot: &str, status: &str, cause: Option<(&str, &str)>, calls: u64, last_ms: u64) -> BotTally {
        BotTally {
            bot: bot.to_owned(),
            status: CallStatus::find(status).unwrap(),
            cause: cause.map(|(class, reason)| (class.to_owned(), reason.to_owned())),
            calls,
            last_ms,
        }
    }

    #[test]
    fn the_last_slot_holds_this_moment_and_every_call_stands_in_its_own() {
        let now_ms = 1_000 * HOUR_MS + 59 * MINUTE_MS + 7;
        let since_ms = first_slot(now_ms, MINUTE_MS, MINUTES);
        assert_eq!(since_ms, 1_000 * HOUR_MS);
        let at = |minute: u64, status: &str, calls| CallTally {
            at_ms: since_ms + minute * MINUTE_MS,
            status: CallStatus::find(status).unwrap(),
            calls,
        };
        let tallies = [
            at(0, "completed", 3),
            at(0, "failed", 1),
            at(59, "ringing", 2),
            at(59, "no-answer", 4),
            at(60, "busy", 9),
        ];
        let slots = slots(&tallies, since_ms, MINUTE_MS, MINUTES);
        assert_eq!(slots.len(), 60);
        assert_eq!((slots[0].completed, slots[0].failed, slots[0].up), (3, 1, 0));
        assert_eq!(
            (slots[59].up, slots[59].unanswered, slots[59].at.as_str()),
            (2, 4, "1970-02-11T16:59:00.000Z")
        );
        assert_eq!(slots.iter().map(|slot| slot.unanswered).sum::<u64>(), 4);
    }

    #[test]
    fn a_bots_day_counts_what_was_its_own_fault() {
        let day = [
            tally("sales", "completed", Some(("completed", "caller_hung_up")), 8, 50),
            tally("sales", "failed", Some(("bot", "bot_unreachable")), 2, 40),
            tally("sales", "failed", Some(("bot", "bot_stalled")), 1, 45),
            tally("sales", "failed", Some(("us", "internal")), 1, 49),
            tally("echo", "in-progress", None, 1, 60),
            tally("", "busy", Some(("caller", "busy")), 1, 60),
        ];
        let times = [("sales".to_owned(), 900), ("sales".to_owned(), 100), ("echo".to_owned(), 5)];
        let bots = bots(&day, &times);
        assert_eq!(bots.iter().map(|bot| bot.name.as_str()).collect::<Vec<_>>(), ["sales", "echo"]);
        assert_eq!(
            (bots[0].calls, bots[0].failed, bots[0].last_failure.as_deref()),
            (12, 3, Some("bot_stalled"))
        );
        let response = bots[0].response.clone().unwrap();
        assert_eq!((response.calls, response.p50_ms, response.p95_ms), (2, 100, 900));
        assert_eq!(ends(&day)[0].reason, "caller_hung_up");
        assert!(Response::over(Vec::new()).is_none());
    }
}
