//! Any bytes on any socket of the real program, while calls are up: nothing reaches them, memory stays, and calls
//! go on afterwards.
//!
//! One door after another is attacked for some seconds from another loopback address, at a pace that leaves a small
//! machine its time for the calls: what is judged is the program, not the processor.

mod attack;
mod bots;
mod datagrams;
mod streams;
mod victim;
mod web_sockets;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use patchcord::caller::line::{Dial, Phone};
use patchcord::caller::load::{self, LoadPlan, LoadReport, Stage};
use patchcord::clock::Clock;
use patchcord_core::media::g711::Law;
use patchcord_sip::sdp::Protection;

use victim::{Doors, Victim};

/// What is done to a door, until then.
type Attack = fn(&Doors, Instant);

const ATTACKS: [(&str, Attack); 6] = [
    ("RTP", datagrams::on_rtp),
    ("SIP datagrams", datagrams::on_sip),
    ("SIP streams", streams::on_sip),
    ("HTTP", streams::on_http),
    ("WebSockets", web_sockets::on_all),
    ("bots", bots::on_links),
];

#[tokio::test]
async fn any_bytes_on_any_socket_harm_no_call_and_leave_nothing_behind() {
    let victim = Victim::start().await;
    let (go, begin) = mpsc::channel();
    let (doors, id) = (victim.doors().clone(), victim.id());
    let attacker = std::thread::spawn(move || {
        begin.recv().unwrap();
        let before = victim::measure(id);
        let after = ATTACKS.map(|(name, attack)| {
            attack(&doors, Instant::now() + ATTACK_TIME);
            (name, victim::measure(id))
        });
        (before, after)
    });

    // Some attacks end with their round.
    let window = ATTACK_TIME * ATTACKS.len() as u32 + Duration::from_secs(4);
    let report = call(&victim, 2, window, &mut || go.send(()).unwrap()).await;
    let (before, after) = attacker.join().unwrap();
    eprintln!("{} kB, {} descriptors; then {after:?}", before.rss_kb, before.descriptors);
    assert_unharmed(&report, 2);
    for (name, figures) in after {
        let grown = figures.rss_kb.saturating_sub(before.rss_kb);
        assert!(grown <= GROWN_KB_MAX, "{grown} kB more after {name}; {}", victim.log());
    }

    // Two calls were up; theirs are the only ones that count afterwards.
    victim.settled(before.descriptors).await;
    let report = call(&victim, 1, Duration::from_secs(1), &mut || {}).await;
    assert_unharmed(&report, 1);
    let causes = victim.stop().await;
    let good = causes.iter().filter(|cause| *cause == "completed/caller_hung_up").count();
    assert!(good >= 3, "{good} of {} calls ended well", causes.len());
}

/// Holds calls to `echo` that are full of watermarks; `began` is told when their frames begin to count.
async fn call(victim: &Victim, calls: u32, window: Duration, began: &mut dyn FnMut()) -> LoadReport {
    let target = format!("sip:echo@{}", victim.doors().sip);
    let phone = Phone::facing(&target, Clock::start()).await.unwrap();
    let plan = LoadPlan {
        dial: Dial { target, from: "1001".to_owned(), law: Law::Mu, srtp: Protection::Off },
        calls,
        per_second: 10.0,
        warm_up: Duration::from_millis(500),
        window,
        drain: Duration::from_millis(500),
    };
    let mut stage = Stage::Ramp;
    let mut watch = |progress: load::Progress| {
        if std::mem::replace(&mut stage, progress.stage) != Stage::Window && stage == Stage::Window {
            began();
        }
    };
    let report = load::run(&phone, &plan, &mut watch).await.unwrap();
    phone.close().await;
    report
}

/// Every frame came back whole, once and in order.
fn assert_unharmed(report: &LoadReport, calls: u32) {
    let frames = &report.frames;
    let told = format!(
        "{} of {} frames lost, {} damaged, {} doubled, {} overtaken; {} skipped by the meter",
        frames.lost(),
        frames.sent,
        frames.damaged,
        frames.doubled,
        frames.overtaken,
        report.skipped
    );
    eprintln!("{told}; latency to {:?}", frames.latency.max());
    assert_eq!((report.held, report.failed), (calls, 0), "{:?}; {told}", report.first_failure);
    assert!(frames.sent + report.skipped >= u64::from(calls) * 45, "{told}");
    assert_eq!((frames.lost(), frames.damaged, frames.doubled, frames.overtaken), (0, 0, 0, 0), "{told}");
}

/// How long each door is attacked.
const ATTACK_TIME: Duration = Duration::from_secs(3);

/// What the attacks may add to the memory that is in use.
const GROWN_KB_MAX: u64 = 64 << 10;
