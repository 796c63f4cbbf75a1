//! Bad lines: loss, bursts, jitter, reordering, doubling, and phones that change in mid-call. No call is lost, every
//! key is told once and in order, the bot's audio goes on with the time, and what passes the line is heard.
//!
//! Twenty calls a line, a hundred with `PATCHCORD_LONG=1`; the phone and its line are in this process, by a seed.

mod bot;
mod frame;
mod phone;

use std::time::Duration;

use futures_util::future::join_all;
use patchcord::clock::Clock;
use patchcord_sip::{ListenAddr, SipAgent, SipConfig};
use patchcord_testkit::lossy_link::LinkFaults;
use serde_json::Value;
use tokio::time::sleep_until;

use self::bot::Told;
use self::phone::{Experience, Mishap, Plan};
use super::ask;
use super::folder::Folder;
use super::gateway::Gateway;
use super::report::{Row, conclude};
use super::{is_long, is_wanted};

/// A line, and what must come of its calls.
struct Line {
    name: &'static str,
    faults: LinkFaults,
    mishap: Mishap,
}

#[tokio::test]
async fn no_call_is_lost_and_every_key_is_told_once_on_bad_lines() {
    let calls = if is_long() { 100 } else { 20 };
    run("lines", LINES, calls).await;
}

#[tokio::test]
async fn a_phone_may_move_change_jump_fall_silent_and_vanish_for_a_while() {
    let calls = if is_long() { 20 } else { 4 };
    run("mishaps", MISHAPS, calls).await;
}

async fn run(name: &str, lines: &[Line], calls: usize) {
    let folder = Folder::new(name);
    let (url, told) = bot::listen().await;
    let settings = format!(
        "[[numbers]]\nnumber = \"*\"\nbot = \"ear\"\n[bots.ear]\nurl = \"{url}\"\ndialect = \"ivr-solutions\"\n\
         audio = {{ encoding = \"mulaw\", sample_rate = 8000 }}\n"
    );
    let gateway = Gateway::start(folder.path(), &settings).await;
    let listen = vec![ListenAddr::Udp("127.0.0.1:0".parse().unwrap())];
    let (agent, _incoming) = SipAgent::bind(SipConfig { listen, ..SipConfig::default() }).await.unwrap();
    let clock = Clock::start();
    let mut rows = Vec::new();
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| is_wanted(line.name)) {
        let plans: Vec<Plan> = (0..calls).map(|number| line.plan(&gateway, at, number)).collect();
        let mut experiences = Vec::new();
        for together in plans.chunks(AT_ONCE) {
            let begin = clock.now();
            let calls = together.iter().enumerate().map(|(number, plan)| {
                let (agent, place) = (&agent, begin + SPREAD * number as u32 / AT_ONCE as u32);
                async move {
                    sleep_until(clock.instant(place)).await;
                    phone::call(agent, clock, plan).await
                }
            });
            experiences.extend(join_all(calls).await);
        }
        let records = gateway.records_when((rows.len() + 1) * calls).await;
        let of_line = |from: &str| plans.iter().any(|plan| plan.from == from);
        let all_told = || {
            let told = told.lock().unwrap();
            (told.keys().filter(|from| of_line(from)).count() == calls).then_some(())
        };
        ask::until(Duration::from_secs(10), all_told).await;
        let mut sums = Sums { row: Row::new(format!("{} × {calls}", line.name)), ..Sums::new() };
        for (plan, experience) in plans.iter().zip(&experiences) {
            let record = records.iter().find(|record| record["from"] == plan.from.as_str());
            let told = told.lock().unwrap().remove(&plan.from);
            sums.judge(plan, experience, told, record.unwrap_or(&Value::Null));
        }
        rows.push(sums.conclude());
    }
    agent.shutdown().await;
    conclude("line", HEAD, &rows, &gateway.log());
    assert!(gateway.stop().await.success());
}

impl Line {
    fn plan(&self, gateway: &Gateway, at: usize, number: usize) -> Plan {
        // Ten keys, begun elsewhere in every call.
        let keys: Vec<char> = "5128097634".chars().cycle().skip(number % 10).take(10).collect();
        let silent = self.mishap == Mishap::SaysNothing;
        Plan {
            target: gateway.sip_uri("ear"),
            from: format!("7{at:02}{number:04}"),
            digits: if silent { String::new() } else { keys.into_iter().collect() },
            faults: self.faults,
            mishap: self.mishap,
            seed: (at * 1_000 + number + 1) as u64,
        }
    }
}

/// The figures of all calls of one line.
struct Sums {
    row: Row,
    keys: (usize, usize),
    /// Keys of which the line let nothing pass.
    swallowed: usize,
    up: (u64, u64),
    down: (u64, u64),
    whole: u64,
    echo: u64,
    counters: [u64; 6],
    gap_max: Duration,
    behind: (i64, i64),
}

impl Sums {
    fn new() -> Self {
        Self {
            row: Row::new(""),
            keys: (0, 0),
            swallowed: 0,
            up: (0, 0),
            down: (0, 0),
            whole: 0,
            echo: 0,
            counters: [0; 6],
            gap_max: Duration::ZERO,
            behind: (0, 0),
        }
    }

    fn judge(&mut self, plan: &Plan, phone: &Experience, told: Option<Told>, record: &Value) {
        let from = &plan.from;
        let cause = format!("{}/{}", record["cause"]["class"], record["cause"]["reason"]).replace('"', "");
        let completed = phone.failure.is_none() && cause == "completed/caller_hung_up";
        self.row.expect(completed, format!("{from} ended by {cause}: {:?}", phone.failure));
        let told = told.unwrap_or_default();
        self.keys.0 += told.digits.len();
        self.keys.1 += plan.digits.len();
        self.swallowed += plan.digits.len() - phone.digits_passed.len();
        let all = told.digits == phone.digits_passed;
        self.row.expect(all, format!("{from}: keys {} as {}", phone.digits_passed, told.digits));
        self.row.expect(told.holes == 0, format!("{from}: {} holes in the bot's stamps", told.holes));
        let slack = plan.faults.jitter.as_millis() as i64 + BEHIND_MS_MAX;
        let steady = told.behind_ms.abs() <= slack;
        self.row.expect(steady, format!("{from}: the bot's audio is {} ms behind", told.behind_ms));
        let late = told.gap_max > WAIT_MAX;
        self.row.expect(!late, format!("{from}: the bot waited {:?} for audio", told.gap_max));
        self.row.expect(told.numbers.astray == 0, format!("{from}: {} frames astray", told.numbers.astray));
        self.row.expect(phone.holes == 0, format!("{from}: {} holes in what we send", phone.holes));
        self.row.expect(phone.after > 100, format!("{from}: {} packets after the mishap", phone.after));
        let talk = phone.talk.as_millis() as u64 / 20;
        let sent = phone.received.0
            + if let Mishap::Blackout(gone) = plan.mishap { gone.as_millis() as u64 / 20 } else { 0 };
        self.row.expect(sent + 50 >= talk, format!("{from}: {sent} packets to the phone in {talk} frames"));
        for (sum, more) in [(&mut self.up, phone.sent), (&mut self.down, phone.received)] {
            (sum.0, sum.1) = (sum.0 + more.0, sum.1 + more.1);
        }
        (self.whole, self.echo) = (self.whole + told.numbers.whole, self.echo + phone.echo.whole);
        for (sum, name) in self.counters.iter_mut().zip(COUNTERS) {
            *sum += record["counters"][*name].as_u64().unwrap_or_default();
        }
        self.gap_max = self.gap_max.max(told.gap_max);
        self.behind = (self.behind.0.min(told.behind_ms), self.behind.1.max(told.behind_ms));
    }

    fn conclude(mut self) -> Row {
        let percent = |(all, part): (u64, u64)| 100.0 * part as f64 / all.max(1) as f64;
        let (told, pressed) = self.keys;
        let share = self.swallowed * 200 <= pressed;
        self.row.expect(share, format!("the line swallowed {} keys whole", self.swallowed));
        self.row.cell(format!("{told} of {} ({} gone whole)", pressed - self.swallowed, self.swallowed));
        self.row.cell(format!("{:.1} / {:.1} %", percent(self.up), percent(self.down)));
        let [lost, late, doubled, reordered, heard, concealed] = self.counters;
        self.row.cell(format!("{lost} / {late} / {doubled} / {reordered}"));
        self.row.cell(format!("{:.1} %", percent((heard + concealed, concealed))));
        self.row.cell(format!("{} / {}", self.whole, self.echo));
        self.row.cell(format!("{} ms", self.gap_max.as_millis()));
        self.row.cell(format!("{} to {} ms", self.behind.0, self.behind.1));
        self.row
    }
}

const HEAD: &[&str] = &[
    "keys told",
    "line lost up / down",
    "lost / late / doubled / reordered",
    "concealed",
    "frames whole at bot / again at phone",
    "bot waited at most",
    "bot's audio behind",
];

const COUNTERS: &[&str] =
    &["rtp_lost", "rtp_late", "rtp_duplicate", "rtp_reordered", "heard_ms", "concealed_ms"];

const CLEAN: LinkFaults = LinkFaults {
    lost_permille: 0,
    lost_in_a_row: 1,
    doubled_permille: 0,
    late_permille: 0,
    delay: Duration::from_millis(10),
    jitter: Duration::ZERO,
    late_by: Duration::ZERO,
};

const fn line(name: &'static str, faults: LinkFaults) -> Line {
    Line { name, faults, mishap: Mishap::None }
}

const fn mishap(name: &'static str, mishap: Mishap) -> Line {
    Line { name, faults: CLEAN, mishap }
}

const LINES: &[Line] = &[
    line("clean", CLEAN),
    line(
        "5 % lost, 30 ms jitter",
        LinkFaults { lost_permille: 50, jitter: Duration::from_millis(30), ..CLEAN },
    ),
    line("10 % lost in bursts of 3", LinkFaults { lost_permille: 36, lost_in_a_row: 3, ..CLEAN }),
    line("5 % reordered", LinkFaults { late_permille: 50, late_by: Duration::from_millis(30), ..CLEAN }),
    line("2 % doubled", LinkFaults { doubled_permille: 20, late_by: Duration::from_millis(5), ..CLEAN }),
    line(
        "all of it",
        LinkFaults {
            lost_permille: 50,
            doubled_permille: 20,
            late_permille: 50,
            jitter: Duration::from_millis(30),
            late_by: Duration::from_millis(30),
            ..CLEAN
        },
    ),
];

const MISHAPS: &[Line] = &[
    mishap("another port", Mishap::OtherPort),
    mishap("another source", Mishap::OtherSource),
    mishap("timestamps jump", Mishap::ClockJump),
    mishap("the phone says nothing", Mishap::SaysNothing),
    mishap("nothing passes for 5 s", Mishap::Blackout(Duration::from_secs(5))),
];

/// Calls at a time: this process has to keep up with them as well.
const AT_ONCE: usize = 25;

/// They begin within this time.
const SPREAD: Duration = Duration::from_millis(1_000);

/// The longest that a bot may wait for audio; a busy machine has a part in it.
const WAIT_MAX: Duration = Duration::from_millis(1_000);

/// What may be under way, or come late for good, when a call ends; a standstill of this machine shows here.
const BEHIND_MS_MAX: i64 = 1_000;
