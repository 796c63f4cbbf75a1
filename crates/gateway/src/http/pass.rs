//! What somebody was let in with, looked at again as long as an answer goes on.
//!
//! A request is judged once, by [`access`]. What outlives it (events, listening, talking) holds a [`Pass`] and ends
//! with it: with the session, with the key, with the key's role.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use tokio::time::interval;

use super::access;
use super::api::Api;
use super::sessions::{self, Hash, Sessions};
use crate::calls::Exchange;
use crate::clock::unix_ms;
use crate::config::{ApiKey, Config, Role};

/// What a request shows, by its hash: what stands here opens nothing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Neither key nor session.
    Nothing,
    /// A key.
    Key(Hash),
    /// The cookie of a session.
    Session(Hash),
}

impl Shown {
    /// What comes with a request; a key counts before a session.
    pub fn of(config: &Config, headers: &HeaderMap) -> Self {
        match access::bearer(headers) {
            Some(key) => Self::Key(sessions::hash(key)),
            None => sessions::shown(config, headers).map_or(Self::Nothing, Self::Session),
        }
    }

    /// The key of the configuration that it is, or that is behind it.
    pub fn find<'a>(&self, config: &'a Config, sessions: &Sessions, now_ms: u64) -> Option<&'a ApiKey> {
        match self {
            Self::Nothing => None,
            Self::Key(hash) => access::find_hash(&config.http.keys, hash),
            Self::Session(id) => sessions.key_of(config, id, now_ms).map(|(key, _)| key),
        }
    }

    /// Whether it opens what takes `role`; nothing shown opens everything where there are no keys.
    pub fn opens(&self, role: Role, config: &Config, sessions: &Sessions, now_ms: u64) -> bool {
        match self {
            Self::Nothing => config.http.keys.is_empty(),
            _ => self.find(config, sessions, now_ms).is_some_and(|key| key.role >= role),
        }
    }
}

/// What somebody was let in with, and the role that it had to have.
#[derive(Clone)]
pub struct Pass {
    exchange: Arc<Exchange>,
    sessions: Arc<Sessions>,
    shown: Shown,
    role: Role,
}

impl Pass {
    /// Of whoever showed that where `role` was asked for.
    pub fn new(api: &Api, shown: Shown, role: Role) -> Self {
        Self { exchange: api.exchange.clone(), sessions: api.sessions.clone(), shown, role }
    }

    /// Whether it would be let in at this moment.
    pub fn opens(&self) -> bool {
        self.shown.opens(self.role, &self.exchange.config(), &self.sessions, unix_ms())
    }

    /// Resolves within a second of the moment from which it opens nothing; between its looks it costs its owner a timer.
    pub async fn lost(&self) {
        let mut looks = interval(LOOKED_AT_EVERY);
        loop {
            looks.tick().await;
            if !self.opens() {
                return;
            }
        }
    }
}

/// How long an answer may go on that would not begin.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn configured(role: Option<Role>) -> Config {
        let mut config = Config::default_serve();
        let key = |role| ApiKey { name: "ops".to_owned(), key: Secret::new("ops-0123456789abcdef"), role };
        config.http.keys = role.map(key).into_iter().collect();
        config
    }

    #[test]
    fn a_pass_is_as_good_as_its_key_in_the_configuration_in_effect() {
        let sessions = Sessions::default();
        let key = Shown::Key(sessions::hash("ops-0123456789abcdef"));
        let opens = |shown: Shown, role| shown.opens(Role::Operator, &configured(role), &sessions, 0);
        assert!(opens(key, Some(Role::Admin)) && opens(key, Some(Role::Operator)));
        assert!(!opens(key, Some(Role::Reader)) && !opens(key, None));
        assert!(opens(Shown::Nothing, None) && !opens(Shown::Nothing, Some(Role::Admin)));
        assert!(!opens(Shown::Key(sessions::hash("ops")), Some(Role::Admin)));
        assert!(!opens(Shown::Session(sessions::hash("ops")), Some(Role::Admin)));
    }
}
