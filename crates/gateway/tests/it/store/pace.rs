//! A hundred calls a second: what they cost, and how many commits they share.

use std::time::Duration;

use patchcord::caller::process_figures::ProcessFigures;
use patchcord::store::Fact;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::ground::{Ground, ended, told_call};

super::cases![a_hundred_calls_a_second_are_stored_as_they_come];

async fn a_hundred_calls_a_second_are_stored_as_they_come(ground: Ground) {
    let open = ground.open().await;
    let seconds = if std::env::var_os("PATCHCORD_LONG").is_some() { 20 } else { 3 };
    let (before, cpu, began) = (open.store.figures(), processor(), Instant::now());
    let mut ticks = interval(Duration::from_millis(10));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut slowest = Duration::ZERO;
    for n in 0..seconds * 100_u64 {
        ticks.tick().await;
        let call_id = format!("call_{n}");
        let asked = Instant::now();
        open.begin(told_call(&call_id, 1_000, "http://127.0.0.1:9/")).await;
        slowest = slowest.max(asked.elapsed());
        open.store.tell(&call_id, Fact::Ringing, 1_001);
        open.store.tell(&call_id, Fact::InProgress, 1_002);
        // The one that began a second ago is over.
        if let Some(earlier) = n.checked_sub(100) {
            open.store.tell(&format!("call_{earlier}"), ended(), 2_000);
        }
    }
    let (took, cpu) = (began.elapsed(), processor() - cpu);
    let after = open.store.figures();
    let commits = after.commits - before.commits;
    eprintln!(
        "{seconds}00 calls in {took:.1?}: {:.0} commits/s of {:.1} writes, {:.1} ms each; slowest begin {slowest:.1?}; \
         processor {:.1} % of one core",
        commits as f64 / took.as_secs_f64(),
        (after.written - before.written) as f64 / commits as f64,
        (after.commit_time - before.commit_time).as_secs_f64() * 1_000.0 / commits as f64,
        100.0 * cpu.as_secs_f64() / took.as_secs_f64(),
    );
    assert!(after.waiting <= 50 && after.failures == 0, "{after:?}");
    assert!(took < Duration::from_secs(seconds * 2), "{took:?}");
    open.close().await;
}

/// Processor time of this process.
fn processor() -> Duration {
    ProcessFigures::read(std::process::id()).unwrap().processor_time()
}
