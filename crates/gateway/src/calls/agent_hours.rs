//! How long the calls of each agent have lasted today (UTC): what a limit per day is held against.
//!
//! Counted in memory from the calls' ends on: a start begins anew, and calls that are up when the limit is reached go on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Seconds of today's calls, by agent.
#[derive(Debug, Default)]
pub struct AgentHours {
    today: Mutex<Today>,
}

#[derive(Debug, Default)]
struct Today {
    day: u64,
    spent: HashMap<Box<str>, Duration>,
}

impl AgentHours {
    /// A call of `agent` lasted that long.
    pub fn add(&self, agent: &str, lasted: Duration, unix_ms: u64) {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        today.turn_to(unix_ms);
        *today.spent.entry(agent.into()).or_default() += lasted;
    }

    /// Whether `agent` has used up that many seconds of today.
    pub fn has_spent(&self, agent: &str, seconds: u32, unix_ms: u64) -> bool {
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        today.turn_to(unix_ms);
        today.spent.get(agent).is_some_and(|spent| spent.as_secs() >= seconds.into())
    }
}

impl Today {
    fn turn_to(&mut self, unix_ms: u64) {
        let day = unix_ms / DAY_MS;
        if day != self.day {
            self.day = day;
            self.spent.clear();
        }
    }
}

const DAY_MS: u64 = 86_400_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agents_day_is_spent_by_its_own_calls_and_begins_anew_at_midnight() {
        let (hours, noon) = (AgentHours::default(), 20_000 * DAY_MS + DAY_MS / 2);
        hours.add("dealer", Duration::from_secs(50), noon);
        assert!(!hours.has_spent("dealer", 100, noon));
        hours.add("dealer", Duration::from_secs(50), noon);
        assert!(hours.has_spent("dealer", 100, noon));
        assert!(!hours.has_spent("other", 100, noon));
        assert!(!hours.has_spent("dealer", 100, noon + DAY_MS));
    }
}
