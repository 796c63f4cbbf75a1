//! Waiting for what becomes true outside, never longer than a deadline.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// The first thing that `found` finds, asked again and again; `None` at the deadline.
pub async fn until<T>(patience: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    let mut ticks = interval(Duration::from_millis(25));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(found) = found() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
    }
}
