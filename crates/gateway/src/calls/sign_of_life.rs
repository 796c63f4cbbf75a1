//! Signs of life: when the process is killed, the calls that were up ended at the last of them, as far as anybody knows.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Exchange;
use crate::clock::unix_ms;

/// Gives one a second while calls are up, until the process stops.
pub async fn give(exchange: Arc<Exchange>) {
    let stop = exchange.tasks.stop().clone();
    let mut tick = interval(PACE);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        if exchange.registry.has_calls() {
            exchange.store.give_sign_of_life(unix_ms());
        }
    }
}

const PACE: Duration = Duration::from_secs(1);
