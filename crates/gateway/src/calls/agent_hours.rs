//! How long the calls of each agent have lasted today (UTC): what a limit per day is held against.
//!
//! Counted in memory as calls end, a start counts what is stored: calls that are up when the limit is reached go on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::store::{Store, StoreError};

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
    /// Counts the calls of today that a process before this one had.
    ///
    /// # Errors
    /// The database's.
    pub async fn recall(&self, store: &Store, unix_ms: u64) -> Result<(), StoreError> {
        for (agent, lasted_ms) in store.talked_since(unix_ms - unix_ms % DAY_MS).await? {
            self.add(&agent, Duration::from_millis(lasted_ms), unix_ms);
        }
        Ok(())
    }

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
