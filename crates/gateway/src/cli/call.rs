//! `patchcord call`: a caller without a phone, for a bot, a WebSocket or any SIP address.
//!
//! A bot is called as a phone would call it: by SIP and RTP, through a gateway of our own in this process.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use patchcord_core::media::g711::Law;
use serde_json::Value;

use super::args::CallArgs;
use super::exit::Exit;
use super::terminal::{Ink, data, paint, talk, tell_problems};
use crate::app::{App, Parts};
use crate::caller::call_log::{CallReport, Ending, Happening, Logged};
use crate::caller::call_table;
use crate::caller::conversation::{ConverseError, Plan, converse};
use crate::caller::line::{Dial, Phone, PhoneError};
use crate::caller::mouth::presses;
use crate::caller::scratch_folder::ScratchFolder;
use crate::caller::stereo_tape::StereoTape;
use crate::caller::voice::Voice;
use crate::clock::Clock;
use crate::config::{self, Config, Environment, SipListen, SipTransport};

/// Runs `patchcord call`.
pub fn run(args: &CallArgs) -> Exit {
    let destination = match Destination::of(args) {
        Ok(destination) => destination,
        Err(exit) => return exit,
    };
    let plan = match plan(args) {
        Ok(plan) => plan,
        Err(exit) => return exit,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(place(args, destination, plan));
            runtime.shutdown_background();
            exit
        }
        Err(error) => refuse(&error.to_string(), Exit::Failed),
    }
}

/// Where the call goes.
enum Destination {
    /// A SIP address that somebody else answers.
    Sip(String),
    /// A bot, through a gateway of our own.
    Bot(Box<Config>),
}

impl Destination {
    fn of(args: &CallArgs) -> Result<Self, Exit> {
        let target = &args.target;
        if target.starts_with("sip:") || target.starts_with("sips:") {
            return Ok(Self::Sip(target.clone()));
        }
        let loaded = config::load(args.config.as_deref(), &Environment::of_process());
        let mut config = loaded.map_err(|problems| {
            tell_problems(&problems);
            Exit::Failed
        })?;
        let config = &mut config.config;
        let name = if target.starts_with("ws://") || target.starts_with("wss://") {
            let bot = remote_bot(target, args.dialect.as_deref())?;
            let name = bot.name.clone();
            config.bots.insert(0, bot);
            name
        } else {
            target.clone()
        };
        if config.find_bot(&name).is_none() {
            talk(&paint(&format!("there is no bot \"{name}\""), Ink::Red));
            talk(
                "name a built-in bot (echo, parrot, dtmf, tone, ivr), one of [bots] in patchcord.toml, ws://…, or sip:…",
            );
            return Err(Exit::Usage);
        }
        // What is dialled is a number, as on a telephone; it leads to the bot and nowhere else.
        let mut number = number(&args.to)?;
        number.taker = config::Taker::Bot(name);
        config.numbers.insert(0, number);
        config.listeners.clear();
        Ok(Self::Bot(Box::new(config.clone())))
    }
}

/// The entry that a configuration file would have for the number.
fn number(dialled: &str) -> Result<config::Number, Exit> {
    let text = format!(
        "[[numbers]]\nnumber = {}\nbot = \"echo\"\nfallback = \"unavailable\"\n",
        toml::Value::from(dialled)
    );
    let parsed = Config::parse(&text).map_err(|problems| {
        tell_problems(&problems);
        Exit::Usage
    })?;
    parsed.numbers.into_iter().next().ok_or(Exit::Usage)
}

/// The entry that a configuration file would have for the URL.
fn remote_bot(url: &str, dialect: Option<&str>) -> Result<config::Bot, Exit> {
    let Some(dialect) = dialect else {
        talk(&paint("which language does it speak?", Ink::Red));
        talk("add --dialect NAME; `patchcord dialects` lists them");
        return Err(Exit::Usage);
    };
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let text = format!("[bots.{REMOTE}]\nurl = {}\ndialect = {}\n", quoted(url), quoted(dialect));
    let parsed = Config::parse(&text).map_err(|problems| {
        tell_problems(&problems);
        Exit::Usage
    })?;
    parsed.bots.into_iter().next().ok_or(Exit::Usage)
}

fn plan(args: &CallArgs) -> Result<Plan, Exit> {
    let cannot = |path: &Path, why: &str| refuse(&format!("{}: {why}", path.display()), Exit::Failed);
    let voice = match &args.play {
        Some(path) => Voice::clip(path).map_err(|error| cannot(path, &error.to_string()))?,
        // Somebody who says nothing hears nothing of most bots.
        None if args.say_tone || args.dtmf.is_empty() => Voice::tone(),
        None => Voice::Silent,
    };
    let tape = match &args.record {
        Some(path) => Some(StereoTape::create(path).map_err(|error| cannot(path, &error.to_string()))?),
        None => None,
    };
    let presses = args.dtmf.iter().flat_map(|keys| presses(&keys.digits, keys.at)).collect();
    Ok(Plan { voice, presses, duration: args.duration, tape })
}

async fn place(args: &CallArgs, destination: Destination, plan: Plan) -> Exit {
    match destination {
        Destination::Sip(target) => {
            let report = dial(args, &target, plan).await;
            finish(args, &target, report, None)
        }
        Destination::Bot(config) => {
            let gateway = match OwnGateway::start(*config).await {
                Ok(gateway) => gateway,
                Err(why) => return refuse(&why, Exit::Unreachable),
            };
            let target = format!("sip:{}@{}", args.to, gateway.address);
            let report = dial(args, &target, plan).await;
            let record = gateway.stop().await;
            finish(args, &args.target, report, record)
        }
    }
}

async fn dial(args: &CallArgs, target: &str, plan: Plan) -> Result<CallReport, ConverseError> {
    let phone = Phone::facing(target, Clock::start()).await?;
    let dial =
        Dial { target: target.to_owned(), from: args.from.clone(), law: Law::Mu, srtp: args.protection() };
    let bar = progress(args, plan.duration);
    let mut answered = None;
    let mut watch = |logged: &Logged| {
        if matches!(logged.what, Happening::Answered { .. }) {
            answered = Some(logged.at);
        }
        bar.set_message(call_table::sentence(logged.what));
    };
    bar.enable_steady_tick(Duration::from_millis(100));
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    };
    let report = converse(&phone, &dial, plan, &mut watch, interrupted).await;
    bar.finish_and_clear();
    phone.close().await;
    report
}

/// Prints what came of the call.
fn finish(
    args: &CallArgs,
    target: &str,
    report: Result<CallReport, ConverseError>,
    record: Option<Value>,
) -> Exit {
    let report = match report {
        Ok(report) => report,
        Err(ConverseError::Phone(error)) => {
            let exit = match error {
                PhoneError::BadTarget => Exit::Usage,
                _ => Exit::Unreachable,
            };
            return refuse(&format!("{target}: {error}"), exit);
        }
        Err(error) => return refuse(&error.to_string(), Exit::Failed),
    };
    let cause = record.as_ref().map(|record| &record["cause"]);
    if args.json {
        let mut json = call_table::as_json(target, &report);
        if let (Some(fields), Some(record)) = (json.as_object_mut(), &record) {
            fields.insert("record".to_owned(), record.clone());
        }
        data(&format!("{json:#}\n"));
    } else {
        data(&call_table::as_text(target, &report));
        if let Some(cause) = cause {
            let word = |key: &str| cause[key].as_str().unwrap_or("?");
            data(&format!("cause     {} / {}\n", word("class"), word("reason")));
        }
        if let Some(sound) = record.as_ref().and_then(|record| sound(&record["quality"])) {
            data(&format!("sound     {sound}\n"));
        }
    }
    let blamed = cause.and_then(|cause| cause["class"].as_str());
    match report.ending {
        Ending::Refused { status: 408 | 480 | 503, .. } => Exit::Unreachable,
        ending if !ending.is_good() => Exit::Failed,
        _ if matches!(blamed, Some("bot" | "us" | "upstream")) => Exit::Failed,
        _ => Exit::Ok,
    }
}

/// How the gateway says that the call sounded.
fn sound(quality: &Value) -> Option<String> {
    let mut facts = vec![format!("audio {}", quality["audio"].as_str()?)];
    for (way, words) in [("from_phone", "from the caller"), ("to_phone", "to the caller")] {
        facts.extend(quality[way]["mos"].as_f64().map(|mos| format!("MOS {mos:.1} {words}")));
    }
    let response = &quality["bot_response_ms"];
    if let (Some(median), Some(most)) = (response["p50"].as_f64(), response["max"].as_f64()) {
        facts.push(format!("the bot answers after {median:.0} ms, at most {most:.0} ms"));
    }
    Some(facts.join("; "))
}

fn refuse(why: &str, exit: Exit) -> Exit {
    talk(&paint(why, Ink::Red));
    exit
}

/// What is shown while the call lasts, where somebody looks.
fn progress(args: &CallArgs, duration: Duration) -> ProgressBar {
    if args.json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {elapsed_precise} of {prefix}  {wide_msg}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    bar.set_prefix(format!("{} s", duration.as_secs()));
    bar.set_message("calling");
    bar
}

/// A gateway in this process, for one call.
struct OwnGateway {
    app: App,
    address: std::net::SocketAddr,
    folder: ScratchFolder,
}

impl OwnGateway {
    async fn start(mut config: Config) -> Result<Self, String> {
        let folder = ScratchFolder::new().map_err(|error| error.to_string())?;
        let free_port = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        config.server.data_dir = folder.path().to_owned();
        config.http.listen = free_port;
        config.sip.listen = vec![SipListen { transport: SipTransport::Udp, address: free_port }];
        let app = App::start(config, Parts::All).await.map_err(|error| error.to_string())?;
        let address = app.places().sip.first().map(|listen| listen.addr());
        let address = address.ok_or("the gateway has no SIP socket")?;
        Ok(Self { app, address, folder })
    }

    /// Ends it and gives back its record of the call.
    async fn stop(self) -> Option<Value> {
        self.app.stop(RECORD_PATIENCE, std::future::pending()).await;
        let records = std::fs::read_to_string(self.folder.path().join("calls.jsonl")).ok()?;
        serde_json::from_str(records.lines().last()?).ok()
    }
}

/// The name of a bot that has none.
const REMOTE: &str = "remote";

/// How long the gateway may take to end its side of the call.
const RECORD_PATIENCE: Duration = Duration::from_secs(3);
