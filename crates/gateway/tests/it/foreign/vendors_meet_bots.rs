//! A foreign vendor dials the gateway in its dialect and meets a foreign bot of any dialect, or a built-in one.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::bot::Bot;
use super::course::{Course, End};
use super::example;
use super::folder::Folder;
use super::gateway::Gateway;
use super::report::{Row, conclude};
use super::{is_wanted, sound, vendor};

/// A call to make: the vendor and its options, the bot and its settings, and who hangs up.
struct Case {
    name: &'static str,
    vendor: &'static str,
    vendor_options: &'static [&'static str],
    bot: &'static str,
    settings: &'static str,
    end: End,
}

#[tokio::test]
async fn a_vendor_of_each_dialect_meets_bots_of_the_others_and_either_hangs_up() {
    let folder = Folder::new("vendors");
    let course = Course::new();
    let mut bots = Vec::new();
    let cases: Vec<_> = CASES.iter().filter(|case| is_wanted(case.name)).collect();
    for case in &cases {
        let behaviour = course.behaviour(case.end);
        let heard = folder.file(&format!("{}-caller.wav", case.name));
        let mut options = vec!["--behaviour", &behaviour];
        // A start of seed 001 names no number.
        if (case.vendor, case.bot) == ("ozonetel", "incoming-call") {
            options.push("--any-number");
        }
        bots.push(Bot::start(case.name, case.bot, &options, &heard, folder.path()).await);
    }
    let settings: String = cases.iter().zip(&bots).map(|(case, bot)| case.toml(bot)).collect();
    let gateway = Gateway::start(folder.path(), &settings).await;
    let turns = Semaphore::new(CALLS_AT_ONCE);
    let calls = cases.iter().zip(&mut bots).map(|(case, bot)| {
        let (gateway, folder, turns) = (&gateway, &folder, &turns);
        async move {
            let turn = turns.acquire().await.unwrap();
            let verdict = case.call(gateway, folder, course).await;
            drop(turn);
            case.judge(&verdict, &bot.verdict(VERDICT_MAX).await, gateway, folder, course).await
        }
    });
    let rows = join_all(calls).await;
    let head = [
        "vendor hears",
        "again",
        "bot hears",
        "round trip",
        "digits in",
        "out",
        "mark",
        "clears",
        "most lead",
        "cause",
    ];
    conclude("phone side", &head, &rows, &gateway.log());
    assert!(gateway.stop().await.success());
}

impl Case {
    fn toml(&self, bot: &Bot) -> String {
        let Self { name, settings, .. } = self;
        // What a vendor of no dialect of ours says is mapped by a port of its own.
        let port = if self.is_mapped() { example::listener(TWILIO, name) } else { String::new() };
        format!("[bots.{name}]\nurl = \"{}\"\ndialect = \"{}\"\n{settings}\n{port}\n", bot.url, self.bot)
    }

    fn is_mapped(&self) -> bool {
        self.vendor == "twilio"
    }

    /// The dialect that we speak with the vendor.
    fn dialect(&self) -> &'static str {
        if self.is_mapped() { "custom" } else { self.vendor }
    }

    /// The way in for the vendor.
    fn url(&self, gateway: &Gateway) -> String {
        if !self.is_mapped() {
            return gateway.ws_url(&format!("/ws/{}/{}", self.vendor, self.name));
        }
        let mapped = CASES.iter().filter(|case| case.is_mapped() && is_wanted(case.name));
        let (_, port) = mapped.zip(&gateway.listeners).find(|(case, _)| case.name == self.name).unwrap();
        format!("ws://{port}/")
    }

    async fn call(&self, gateway: &Gateway, folder: &Folder, course: Course) -> Value {
        let seconds = course.caller_seconds(self.end).to_string();
        let (digits, record) = (course.digits(), folder.file(&format!("{}-heard.wav", self.name)));
        let mut options = vec!["--seconds", &seconds, "--digits", &digits, "--record", &record];
        options.extend(["--hangup-by", self.end.word(), "--from", FROM, "--to", TO]);
        options.extend(self.vendor_options);
        let url = self.url(gateway);
        vendor::call(&format!("{}-vendor", self.name), self.vendor, &url, &options, folder.path()).await
    }

    async fn judge(
        &self,
        vendor: &Value,
        bot: &Value,
        gateway: &Gateway,
        folder: &Folder,
        course: Course,
    ) -> Row {
        let mut row = Row::new(format!("{} ({} ends)", self.name, self.end.word()));
        row.verdict("the vendor", vendor);
        row.verdict("the bot", bot);
        let heard = folder.file(&format!("{}-heard.wav", self.name));
        let before = sound::judge(&heard, 0.0, Some(course.digits_at - 0.3)).await;
        row.hearing("the vendor", &before);
        // In order of arrival the script takes less time than in the ear: the last seconds count from the end.
        let last = vendor["audio_ms"].as_f64().unwrap_or(0.0) / 1_000.0 - 2.5;
        row.hearing("the vendor, after the script,", &sound::judge(&heard, last, None).await);
        let caller = folder.file(&format!("{}-caller.wav", self.name));
        row.hearing("the bot", &sound::judge(&caller, 0.0, Some(course.digits_at - 0.3)).await);
        let ear =
            sound::judge(&heard.replace(".wav", ".timeline.wav"), 0.0, Some(course.digits_at - 0.3)).await;
        row.cell(format!("{:.0} ms", ear.delay_ms()));
        row.cell(bot["digits"].as_str().unwrap_or_default());
        row.expect(bot["digits"] == "512", format!("the bot heard the digits {}", bot["digits"]));
        let out = joined(&vendor["digits"]) + &joined(&vendor["digits_inband"]);
        row.expect(out.matches('7').count() == 1, format!("the vendor heard the digits {out}"));
        row.cell(out);
        row.cell(bot["mark_ms"].as_u64().map_or("-".to_owned(), |ms| format!("{ms} ms")));
        let clears = vendor["clears"].as_u64().unwrap_or(0);
        row.cell(clears.to_string());
        let expected = u64::from(
            matches!(self.vendor, "ivr-solutions" | "ozonetel" | "twilio") && self.bot != "smartpbx",
        );
        row.expect(clears == expected, format!("{clears} clears came, not {expected}"));
        row.cell(format!("{} ms", vendor["lead_ms_max"]));
        let record = gateway.record("bot", self.name).await;
        let record = row.cause(record, self.end.cause());
        for (key, value) in [
            ("phone_leg_id", vendor::call_id(vendor)),
            ("phone_dialect", self.dialect()),
            ("bot_dialect", self.bot),
            ("disposition", "ANSWERED"),
        ] {
            row.expect(record[key] == value, format!("the record's {key} is {}", record[key]));
        }
        row
    }
}

/// Digits as one string, however a peer lists them.
fn joined(digits: &Value) -> String {
    let list = digits.as_array().map(|list| list.iter().filter_map(Value::as_str).collect());
    list.unwrap_or_else(|| digits.as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_vendor_of_each_dialect_hears_itself_and_each_way_of_leaving_ends_the_call() {
    let folder = Folder::new("vendors-built-in");
    let listeners = "[[listeners]]\nlisten = \"127.0.0.1:0\"\ndialect = \"incoming-call\"\nbot = \"echo\"\n";
    let gateway = Gateway::start(folder.path(), listeners).await;
    let own_port = format!("ws://{}/", gateway.listeners[0]);
    let calls = ECHOES.iter().map(|&(name, dialect, path, options)| {
        let (gateway, folder, own_port) = (&gateway, &folder, &own_port);
        async move {
            let heard = folder.file(&format!("{name}.wav"));
            let url = if path.is_empty() { own_port.clone() } else { gateway.ws_url(path) };
            let options = [&["--seconds", "5", "--record", &heard], options].concat();
            let verdict = vendor::call(name, dialect, &url, &options, folder.path()).await;
            let mut row = Row::new(name);
            row.verdict("the vendor", &verdict);
            row.hearing("the vendor", &sound::judge(&heard, 0.0, None).await);
            let record = gateway.record("phone_leg_id", vendor::call_id(&verdict)).await;
            let cause =
                if options.contains(&"reset") { "upstream/vendor_reset" } else { "completed/caller_hung_up" };
            let record = row.cause(record, cause);
            row.expect(
                record["phone_dialect"] == dialect,
                format!("the record's dialect is {}", record["phone_dialect"]),
            );
            row
        }
    });
    let rows = join_all(calls).await;
    conclude("vendor and echo", &["hears", "cause"], &rows, &gateway.log());
    assert!(gateway.stop().await.success());
}

/// The mapping of a vendor that speaks no dialect of ours.
const TWILIO: &str = "twilio-bot.toml";

const FROM: &str = "+919876543210";
const TO: &str = "+18001234567";

const fn case(name: &'static str, vendor: &'static str, bot: &'static str, end: End) -> Case {
    Case { name, vendor, vendor_options: &[], bot, settings: "", end }
}

const CASES: &[Case] = &[
    case("ivr-to-ivr", "ivr-solutions", "ivr-solutions", End::Caller),
    case("ivr-to-ozonetel", "ivr-solutions", "ozonetel", End::Bot),
    case("ozonetel-to-incoming-call", "ozonetel", "incoming-call", End::Caller),
    Case {
        vendor_options: &["--start-shape", "live"],
        ..case("ozonetel-live-to-incoming-call", "ozonetel", "incoming-call", End::Bot)
    },
    case("ozonetel-to-ozonetel", "ozonetel", "ozonetel", End::Bot),
    case("incoming-call-to-smartpbx", "incoming-call", "smartpbx", End::Caller),
    Case {
        settings: "audio = { encoding = \"g711_ulaw\" }",
        ..case("incoming-call-to-smartpbx-ulaw", "incoming-call", "smartpbx", End::Bot)
    },
    Case {
        vendor_options: &["--no-cdr"],
        ..case("incoming-call-to-incoming-call", "incoming-call", "incoming-call", End::Caller)
    },
    case("smartpbx-to-ivr", "smartpbx", "ivr-solutions", End::Caller),
    Case {
        vendor_options: &["--encoding", "g711_ulaw"],
        ..case("smartpbx-ulaw-to-ivr", "smartpbx", "ivr-solutions", End::Bot)
    },
    case("smartpbx-to-smartpbx", "smartpbx", "smartpbx", End::Bot),
    case("twilio-to-ivr", "twilio", "ivr-solutions", End::Caller),
    case("twilio-to-incoming-call", "twilio", "incoming-call", End::Bot),
];

/// Name, dialect, path (none: the listener's own port), options.
const ECHOES: &[(&str, &str, &str, &[&str])] = &[
    ("the-default-path", "ozonetel", "/ws", &[]),
    ("the-stop-of-another-ucid", "ozonetel", "/ws", &["--other-ucid"]),
    ("a-close-without-stop", "ozonetel", "/ws/ozonetel/echo", &["--end", "close"]),
    ("a-reset", "ivr-solutions", "/ws/ivr-solutions/echo", &["--end", "reset"]),
    ("ivr-solutions", "ivr-solutions", "/ws/ivr-solutions/echo", &[]),
    ("a-port-of-its-own", "incoming-call", "", &["--wait-ms", "1500"]),
    ("smartpbx", "smartpbx", "/ws/smartpbx/echo", &[]),
    ("smartpbx-ulaw", "smartpbx", "/ws/smartpbx/echo", &["--encoding", "g711_ulaw", "--end", "close"]),
];

/// Vendors and bots take a share of the machine each.
const CALLS_AT_ONCE: usize = 3;

const VERDICT_MAX: Duration = Duration::from_secs(15);
