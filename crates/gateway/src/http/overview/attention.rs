//! What needs somebody's attention: each with what is wrong, with whom, and what to do about it.

use serde::Serialize;
use utoipa::ToSchema;

use super::super::api::Api;
use super::super::trunks::advice;
use super::super::watch::why_not_ready;
use super::BOT_CLASS;
use crate::calls::{CALLS_MAX, TrunkStatus};
use crate::store::{BotTally, OpenDeliveries};

/// Something that needs attention.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attention {
    /// `problem`: calls fail or are lost to somebody; `warning`: they may be.
    #[schema(example = "problem")]
    severity: &'static str,
    /// The stable word for programs.
    #[schema(example = "trunk")]
    code: &'static str,
    /// What it is about: a trunk's or a bot's name, where it is one of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "carrier")]
    subject: Option<String>,
    /// What is wrong.
    detail: String,
    /// What to do about it.
    to_do: String,
    /// The screen of the dashboard that shows more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/numbers")]
    screen: Option<String>,
}

/// Everything at this moment, problems first. `hour` are the calls of the last hour.
pub(super) fn find(
    api: &Api,
    trunks: &[TrunkStatus],
    hour: &[BotTally],
    (open, unextracted): (OpenDeliveries, u64),
    calls_up: usize,
) -> Vec<Attention> {
    let mut found: Vec<_> = why_not_ready(api).map(not_ready).into_iter().collect();
    found.extend(trunks.iter().filter_map(trunk));
    found.extend(bots(hour));
    found.extend(own_faults(hour));
    found.extend(given_up(open));
    found.extend(not_extracted(unextracted));
    found.extend(crowded(calls_up));
    found.sort_by_key(|item| item.severity != PROBLEM);
    found
}

fn not_ready(why: &str) -> Attention {
    Attention {
        severity: PROBLEM,
        code: "not_ready",
        subject: None,
        detail: format!("No calls are taken: {why}."),
        to_do: "Run patchcord doctor on this machine: it says what to change where.".to_owned(),
        screen: None,
    }
}

fn trunk(status: &TrunkStatus) -> Option<Attention> {
    Some(Attention {
        severity: PROBLEM,
        code: "trunk",
        subject: Some(status.name.clone()),
        detail: "The carrier cannot be used as it should.".to_owned(),
        to_do: advice(status)?,
        screen: Some("/numbers".to_owned()),
    })
}

/// Bots at which a notable part of the hour's calls failed: some of many, or half of however few.
fn bots(hour: &[BotTally]) -> Vec<Attention> {
    let mut names: Vec<&str> =
        hour.iter().map(|tally| tally.bot.as_str()).filter(|bot| !bot.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    let failing = names.into_iter().filter_map(|name| {
        let own = hour.iter().filter(|tally| tally.bot == name);
        let calls: u64 = own.clone().map(|tally| tally.calls).sum();
        let failures =
            own.filter_map(|tally| tally.cause.as_ref().map(|(class, reason)| (class, reason, tally)));
        let failures: Vec<_> = failures.filter(|(class, ..)| *class == BOT_CLASS).collect();
        let failed: u64 = failures.iter().map(|(.., tally)| tally.calls).sum();
        let of_many = failed >= FAILURES_NOTABLE && failed * 100 >= calls * FAILED_PERCENT_NOTABLE;
        let is_notable = of_many || failed * 2 >= calls;
        let (_, reason, _) = failures.iter().max_by_key(|(.., tally)| tally.calls).filter(|_| is_notable)?;
        Some(Attention {
            severity: PROBLEM,
            code: "bot",
            subject: Some(name.to_owned()),
            detail: format!(
                "{failed} of {calls} calls of the last hour failed at this bot, most by {reason}."
            ),
            to_do: format!("See that it runs and answers at bots.{name}.url; patchcord doctor tries it."),
            screen: Some("/bots".to_owned()),
        })
    });
    failing.collect()
}

fn own_faults(hour: &[BotTally]) -> Option<Attention> {
    let faults =
        hour.iter().filter_map(|tally| tally.cause.as_ref().map(|(class, reason)| (class, reason, tally)));
    let is_fault = |class: &str, reason: &str| class == "us" && !ORDERED.contains(&reason);
    let faults: Vec<_> = faults.filter(|(class, reason, _)| is_fault(class, reason)).collect();
    let (_, reason, _) = faults.iter().max_by_key(|(.., tally)| tally.calls)?;
    let failed: u64 = faults.iter().map(|(.., tally)| tally.calls).sum();
    Some(Attention {
        severity: WARNING,
        code: "server",
        subject: None,
        detail: format!("{failed} calls of the last hour ended by a fault of this server, most by {reason}."),
        to_do: "Run patchcord doctor on this machine, and look at its log.".to_owned(),
        screen: Some("/calls?status=failed".to_owned()),
    })
}

fn given_up(open: OpenDeliveries) -> Option<Attention> {
    (open.dead > 0).then(|| Attention {
        severity: WARNING,
        code: "deliveries",
        subject: None,
        detail: format!("{} deliveries were given up: their receiver did not take them.", open.dead),
        to_do: "See why their receiver refused them, then send them again.".to_owned(),
        screen: Some("/deliveries?state=dead".to_owned()),
    })
}

fn not_extracted(dead: u64) -> Option<Attention> {
    (dead > 0).then(|| Attention {
        severity: WARNING,
        code: "extractions",
        subject: None,
        detail: format!("The fields of {dead} calls could not be taken from their conversations."),
        to_do: "See why with patchcord calls extractions --state dead, then patchcord calls extract CALL."
            .to_owned(),
        screen: None,
    })
}

fn crowded(calls_up: usize) -> Option<Attention> {
    (calls_up * 10 >= CALLS_MAX * 9).then(|| Attention {
        severity: WARNING,
        code: "capacity",
        subject: None,
        detail: format!("{calls_up} of {CALLS_MAX} calls are up: the next ones may be refused."),
        to_do: "Send calls to another server as well.".to_owned(),
        screen: Some("/live".to_owned()),
    })
}

const PROBLEM: &str = "problem";
const WARNING: &str = "warning";
/// How this server ends calls because somebody wants it so.
const ORDERED: [&str; 3] = ["max_duration", "agent_spent", "drained"];
/// Failures of a bot in an hour that are worth a word though most of its calls are well.
const FAILURES_NOTABLE: u64 = 3;
/// And their share of its calls, in per cent.
const FAILED_PERCENT_NOTABLE: u64 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::CallStatus;

    fn hour(tallies: &[(&str, &str, u64)]) -> Vec<BotTally> {
        let tally = |(bot, class, calls): &(&str, &str, u64)| BotTally {
            bot: (*bot).to_owned(),
            status: CallStatus::find("failed").unwrap(),
            cause: Some(((*class).to_owned(), format!("{class}_reason"))),
            calls: *calls,
            last_ms: 0,
        };
        tallies.iter().map(tally).collect()
    }

    #[test]
    fn a_bot_is_worth_a_word_when_many_of_its_calls_failed_by_its_fault() {
        assert!(bots(&hour(&[("sales", "bot", 2), ("sales", "completed", 8)])).is_empty());
        assert!(bots(&hour(&[("sales", "bot", 10), ("sales", "completed", 90)])).is_empty());
        assert!(bots(&hour(&[("sales", "us", 50), ("", "bot", 50)])).is_empty());
        assert!(bots(&hour(&[("sales", "completed", 1)])).is_empty());
        assert_eq!(
            bots(&hour(&[("sales", "bot", 1), ("sales", "completed", 1)])).len(),
            1,
            "every other one"
        );
        let found = bots(&hour(&[("sales", "bot", 3), ("sales", "completed", 9), ("echo", "completed", 9)]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].detail, "3 of 12 calls of the last hour failed at this bot, most by bot_reason.");
    }

    #[test]
    fn what_is_well_needs_no_attention() {
        assert_eq!(given_up(OpenDeliveries { pending: 9, dead: 0 }), None);
        assert!(given_up(OpenDeliveries { pending: 0, dead: 1 }).is_some());
        assert!(not_extracted(0).is_none() && not_extracted(1).is_some());
        assert!(own_faults(&hour(&[("sales", "bot", 3)])).is_none());
        assert!(own_faults(&hour(&[("sales", "us", 3)])).is_some());
        let mut ordered = hour(&[("sales", "us", 3)]);
        ordered[0].cause = Some(("us".to_owned(), "max_duration".to_owned()));
        assert!(own_faults(&ordered).is_none());
        assert!(crowded(CALLS_MAX / 2).is_none() && crowded(CALLS_MAX - 1).is_some());
    }
}
