//! `patchcord bench`: load against this very program, on one machine.
//!
//! The gateway and a bot that speaks the dialect run as processes of their own, so that the gateway's processor
//! time and memory can be told from the bot's and from the meter's.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use patchcord_core::media::g711::Law;
use patchcord_sip::sdp::Protection;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::args::BenchArgs;
use super::exit::Exit;
use super::terminal::{Ink, data, paint, talk};
use crate::caller::line::{Dial, Phone};
use crate::caller::load::{self, LoadPlan, LoadReport, Progress, Stage};
use crate::caller::load_table::{Usage, as_json, as_text};
use crate::caller::process_figures::{MachineFigures, ProcessFigures};
use crate::caller::scratch_folder::ScratchFolder;
use crate::clock::Clock;
use crate::config::DialectName;

/// Runs `patchcord bench`.
pub fn run(args: &BenchArgs) -> Exit {
    let dialect = match DialectName::parse(&args.dialect) {
        Ok(dialect) => dialect,
        Err(refusal) => {
            talk(&paint(&refusal.what, Ink::Red));
            talk(&refusal.cure);
            return Exit::Usage;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    match runtime.block_on(measure(args, dialect)) {
        Ok((usage, report)) => {
            if args.json {
                data(&format!("{:#}\n", as_json(dialect.as_str(), &usage, &report)));
            } else {
                data(&as_text(dialect.as_str(), &usage, &report));
            }
            if report.failed == 0 { Exit::Ok } else { Exit::Failed }
        }
        Err(error) => fail(&format!("{error:#}")),
    }
}

fn fail(why: &str) -> Exit {
    talk(&paint(why, Ink::Red));
    Exit::Failed
}

async fn measure(args: &BenchArgs, dialect: DialectName) -> anyhow::Result<(Usage, LoadReport)> {
    let folder = ScratchFolder::new()?;
    let dialect = dialect.as_str();
    let bot_words = ["bot", "echo", "--dialect", dialect, "--listen", "127.0.0.1:0", "--json"];
    let (_bot, said) = start(&bot_words, folder.path()).await?;
    let url =
        said["listening"].as_str().ok_or_else(|| anyhow::anyhow!("the bot did not say where it listens"))?;
    std::fs::write(folder.path().join(CONFIG_FILE), config(url, dialect))?;
    let (gateway, said) = start(&["serve", "--config", CONFIG_FILE, "--json"], folder.path()).await?;
    let pid = gateway.id().ok_or_else(|| anyhow::anyhow!("the gateway has ended"))?;
    let plan = LoadPlan {
        dial: Dial {
            target: format!("sip:load@{}", sip_address(&said)?),
            from: "1000".to_owned(),
            law: Law::Mu,
            srtp: Protection::Off,
        },
        calls: args.calls,
        per_second: CALLS_PER_SECOND,
        warm_up: WARM_UP,
        window: Duration::from_secs(args.seconds.into()),
        drain: DRAIN,
    };
    let phone = Phone::facing(&plan.dial.target, Clock::start()).await?;
    let mut watcher = Watcher::new(args, pid)?;
    let report = load::run(&phone, &plan, &mut |progress| watcher.hear(progress)).await;
    watcher.bar.finish_and_clear();
    phone.close().await;
    let report = report?;
    if report.failed > 0 {
        tell_log("serve", folder.path());
    }
    Ok((watcher.usage, report))
}

/// Where a process of ours writes what it has to say.
fn log_of(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.log"))
}

/// Tells the last lines that a process wrote.
fn tell_log(name: &str, folder: &Path) {
    let text = std::fs::read_to_string(log_of(name, folder)).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(LOG_LINES_TOLD).collect();
    for line in lines.iter().rev() {
        talk(&format!("{name}: {line}"));
    }
}

/// The address behind the first UDP socket that the gateway said it listens on.
fn sip_address(said: &Value) -> anyhow::Result<SocketAddr> {
    let sockets = said["sip"].as_array().into_iter().flatten();
    let mut addresses = sockets.filter_map(|socket| socket.as_str()?.strip_prefix("udp:")?.parse().ok());
    addresses.next().ok_or_else(|| anyhow::anyhow!("the gateway did not say where it listens for SIP"))
}

/// What the gateway needs to know: where calls come from and where they go.
fn config(url: &str, dialect: &str) -> String {
    format!(
        "[server]\ndata_dir = \"data\"\n[log]\nlevel = \"warn\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n[bots.load]\nurl = \"{url}\"\ndialect = \"{dialect}\"\n"
    )
}

/// Starts this program as another process, and reads the first line that it says.
async fn start(words: &[&str], folder: &Path) -> anyhow::Result<(Child, Value)> {
    let name = words.first().copied().unwrap_or_default();
    let log = std::fs::File::create(log_of(name, folder))?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(words)
        .current_dir(folder)
        // Overrides that are meant for the user's own gateway are not for this one.
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| anyhow::anyhow!("a process without output"))?;
    let mut line = String::new();
    let read = tokio::time::timeout(START_TIMEOUT, BufReader::new(stdout).read_line(&mut line)).await;
    match read {
        Ok(Ok(length)) if length > 0 => Ok((child, serde_json::from_str(&line)?)),
        Ok(Ok(_)) => {
            tell_log(name, folder);
            anyhow::bail!("`patchcord {name}` ended at once")
        }
        Ok(Err(error)) => Err(error.into()),
        Err(_) => anyhow::bail!("`patchcord {name}` did not start within {} s", START_TIMEOUT.as_secs()),
    }
}

/// Shows the progress and reads the figures at the right moments.
struct Watcher {
    pid: u32,
    stage: Option<Stage>,
    usage: Usage,
    bar: ProgressBar,
    calls: u32,
    window: Duration,
}

impl Watcher {
    fn new(args: &BenchArgs, pid: u32) -> io::Result<Self> {
        let window = Duration::from_secs(args.seconds.into());
        let bar = if args.json || !io::stderr().is_terminal() {
            ProgressBar::hidden()
        } else {
            let style = ProgressStyle::with_template("{bar:30} {msg}")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::with_draw_target(Some(BAR_STEPS), ProgressDrawTarget::stderr()).with_style(style)
        };
        let usage = Usage { idle: ProcessFigures::read(pid)?, ..Usage::default() };
        Ok(Self { pid, stage: None, usage, bar, calls: args.calls, window })
    }

    fn hear(&mut self, progress: Progress) {
        if self.stage != Some(progress.stage) {
            self.stage = Some(progress.stage);
            // A gateway that died shows in the calls; its figures stay what they were.
            let process = ProcessFigures::read(self.pid).ok();
            let machine = MachineFigures::read().ok();
            match progress.stage {
                Stage::Window => {
                    self.usage.begin = process.unwrap_or(self.usage.begin);
                    self.usage.machine_begin = machine.unwrap_or_default();
                }
                Stage::Drain => {
                    self.usage.end = process.unwrap_or(self.usage.end);
                    self.usage.machine_end = machine.unwrap_or_default();
                }
                Stage::Ramp | Stage::WarmUp | Stage::HangUp => {}
            }
        }
        let (up, calls) = (progress.up, self.calls);
        let (share, what) = match progress.stage {
            Stage::Ramp => (f64::from(up) / f64::from(calls), format!("{up} of {calls} calls are up")),
            Stage::WarmUp => (1.0, format!("{up} calls settle")),
            Stage::Window => {
                let left = self.window.saturating_sub(progress.since);
                let share = progress.since.as_secs_f64() / self.window.as_secs_f64().max(1e-9);
                (share, format!("{up} calls are measured, {} s left", left.as_secs()))
            }
            Stage::Drain | Stage::HangUp => (1.0, "hanging up".to_owned()),
        };
        self.bar.set_position((share.clamp(0.0, 1.0) * BAR_STEPS as f64) as u64);
        self.bar.set_message(what);
    }
}

const CONFIG_FILE: &str = "bench.toml";

/// Slow enough that setting up disturbs no call, fast enough for 1000 of them.
const CALLS_PER_SECOND: f64 = 60.0;
const WARM_UP: Duration = Duration::from_secs(2);
const DRAIN: Duration = Duration::from_millis(1_500);
const START_TIMEOUT: Duration = Duration::from_secs(10);
const LOG_LINES_TOLD: usize = 10;
const BAR_STEPS: u64 = 1_000;
