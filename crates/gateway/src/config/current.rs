//! The configuration in effect: a snapshot that a reload replaces as a whole.
//!
//! Whoever needs settings takes one snapshot, once per call or request, and keeps to it; a call that is up is
//! untouched by a reload.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use super::Config;

/// The configuration in effect; clones show the same.
#[derive(Debug, Clone)]
pub struct CurrentConfig(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    config: watch::Sender<Arc<Config>>,
    applied: AtomicU64,
    refused: AtomicU64,
}

/// How often a reload was asked for, by what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reloads {
    /// The file was right and is in effect.
    pub applied: u64,
    /// The file was wrong; what was in effect stayed.
    pub refused: u64,
}

impl CurrentConfig {
    /// Begins with `config`.
    pub fn new(config: Config) -> Self {
        let config = watch::Sender::new(Arc::new(config));
        Self(Arc::new(Shared { config, applied: AtomicU64::new(0), refused: AtomicU64::new(0) }))
    }

    /// The configuration at this moment.
    pub fn snapshot(&self) -> Arc<Config> {
        self.0.config.borrow().clone()
    }

    /// The configuration at this moment and whenever it is replaced.
    pub fn changes(&self) -> watch::Receiver<Arc<Config>> {
        self.0.config.subscribe()
    }

    /// Puts `config` into effect for whatever begins from here on.
    pub fn replace(&self, config: Config) {
        self.0.config.send_replace(Arc::new(config));
        self.0.applied.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a reload that was refused.
    pub fn count_refused(&self) {
        self.0.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The reloads so far.
    pub fn reloads(&self) -> Reloads {
        Reloads {
            applied: self.0.applied.load(Ordering::Relaxed),
            refused: self.0.refused.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_stays_what_it_was_when_the_configuration_is_replaced() {
        let current = CurrentConfig::new(Config::default_serve());
        let before = current.snapshot();
        current.clone().replace(Config::parse("[server]\nid = \"delhi\"\n").unwrap());
        assert_eq!(
            (before.server.id.as_str(), current.snapshot().server.id.as_str()),
            ("patchcord", "delhi")
        );
        current.count_refused();
        assert_eq!(current.reloads(), Reloads { applied: 1, refused: 1 });
    }
}
