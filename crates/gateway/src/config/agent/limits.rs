//! How long the calls of an agent may last.

use std::time::Duration;

use super::super::problem::Refusal;
use super::super::section::Section;

/// `limits` of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentLimits {
    /// The longest call.
    pub duration: Option<Duration>,
    /// How long nobody may say a word.
    pub silence: Option<Duration>,
    /// Seconds of calls within a day (UTC), all calls together.
    pub seconds_per_day: Option<u32>,
    /// The age at which a session of the engine is replaced.
    pub session: Duration,
}

impl AgentLimits {
    pub(super) fn read(section: &Section<'_>) -> Option<AgentLimits> {
        let session = section.value_or("session", SESSION);
        if session.is_some_and(|session| !(SESSION_MIN..=SESSION_MAX).contains(&session)) {
            section.refuse("session", Refusal::new("engines end a session after an hour", "1m to 60m"));
        }
        let at_least = |key: &str| {
            let limit: Option<Duration> = section.value(key);
            if limit.is_some_and(|limit| limit < LIMIT_MIN) {
                section.refuse(key, Refusal::new("nobody can talk in so short a time", "5s or more"));
            }
            limit
        };
        Some(AgentLimits {
            duration: at_least("duration"),
            silence: at_least("silence"),
            seconds_per_day: section.value("seconds_per_day"),
            session: session?,
        })
    }
}

/// A session's age where nothing else is said: five minutes before engines end it.
const SESSION: Duration = Duration::from_secs(55 * 60);
const SESSION_MIN: Duration = Duration::from_secs(60);
const SESSION_MAX: Duration = Duration::from_secs(60 * 60);
/// The shortest limit of a call.
const LIMIT_MIN: Duration = Duration::from_secs(5);
