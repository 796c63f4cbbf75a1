//! A foreign phone calls the gateway, which dials a foreign bot: each dialect's bot side, ended by either end.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;

use super::bot::Bot;
use super::course::{Course, End};
use super::example;
use super::folder::Folder;
use super::gateway::Gateway;
use super::phone::{self, Dial};
use super::report::{Row, conclude};
use super::{is_wanted, sound};

/// A call to make: the bot's dialect, options and settings, the phone's codec, and who hangs up.
struct Case {
    name: &'static str,
    dialect: &'static str,
    example: Option<Example>,
    options: &'static [&'static str],
    settings: &'static str,
    codec: &'static str,
    end: End,
}

/// A bot of `custom`: the peer, and the worked configuration that maps it, with words changed.
struct Example {
    peer: &'static str,
    file: &'static str,
    changes: &'static [(&'static str, &'static str)],
}

#[tokio::test]
async fn a_phone_and_a_bot_of_each_dialect_talk_type_and_hang_up() {
    let folder = Folder::new("phones");
    let course = Course::new();
    let mut bots = Vec::new();
    let cases: Vec<_> = CASES.iter().filter(|case| is_wanted(case.name)).collect();
    for case in &cases {
        let behaviour = course.behaviour(case.end);
        let options = [&["--behaviour", &behaviour], case.options].concat();
        let heard = folder.file(&format!("{}-caller.wav", case.name));
        bots.push(Bot::start(case.name, case.peer(), &options, &heard, folder.path()).await);
    }
    let settings: String =
        cases.iter().zip(&bots).enumerate().map(|(at, (case, bot))| case.toml(at, bot)).collect();
    let gateway = Gateway::start(folder.path(), &settings).await;
    let turns = Semaphore::new(CALLS_AT_ONCE);
    let calls = cases.iter().zip(&mut bots).enumerate().map(|(at, (case, bot))| {
        let (gateway, folder, turns) = (&gateway, &folder, &turns);
        async move { case.call(at, bot, gateway, folder, turns, course).await }
    });
    let rows = join_all(calls).await;
    let head = [
        "caller hears",
        "again",
        "bot hears",
        "round trip",
        "digits in",
        "out",
        "mark",
        "clear cut to",
        "cause",
    ];
    conclude("bot side", &head, &rows, &gateway.log());
    assert!(gateway.stop().await.success());
}

impl Case {
    fn number(at: usize) -> String {
        format!("+1800555{at:04}")
    }

    /// The foreign bot.
    fn peer(&self) -> &'static str {
        self.example.as_ref().map_or(self.dialect, |example| example.peer)
    }

    /// The bot and the number that leads to it.
    fn toml(&self, at: usize, bot: &Bot) -> String {
        let Self { name, dialect, settings, .. } = self;
        let entry = match &self.example {
            Some(Example { file, changes, .. }) => example::bot(file, name, &bot.url, changes),
            None => format!("[bots.{name}]\nurl = \"{}\"\ndialect = \"{dialect}\"\n{settings}\n", bot.url),
        };
        format!("{entry}\n[[numbers]]\nnumber = \"{}\"\nbot = \"{name}\"\n", Self::number(at))
    }

    async fn call(
        &self,
        at: usize,
        bot: &mut Bot,
        gateway: &Gateway,
        folder: &Folder,
        turns: &Semaphore,
        course: Course,
    ) -> Row {
        let turn = turns.acquire().await.unwrap();
        let mut row = Row::new(format!("{} ({} ends)", self.name, self.end.word()));
        let number = Self::number(at);
        let heard = folder.file(&format!("{}-heard.wav", self.name));
        let dial = Dial {
            from: FROM,
            codec: self.codec,
            digits: Some(course.digits()),
            hung_up_by_them: self.end == End::Bot,
            ..Dial::new(gateway.sip_uri(&number), course.caller_seconds(self.end), &heard)
        };
        let call = phone::call(self.name, &dial, folder.path()).await;
        drop(turn);
        row.expect(call.summary["ok"] == true, format!("the phone: {} {:?}", call.summary, call.events));
        let record = gateway.record("to", &number).await;
        let verdict = bot.verdict(VERDICT_MAX).await;
        row.verdict("the bot", &verdict);
        let before = sound::judge(&heard, 0.0, Some(course.digits_at)).await;
        row.hearing("the caller", &before);
        row.hearing("the caller, after the script,", &sound::judge(&heard, course.echo_again, None).await);
        let caller = folder.file(&format!("{}-caller.wav", self.name));
        row.hearing("the bot", &sound::judge(&caller, 0.0, Some(course.digits_at)).await);
        row.cell(format!("{:.0} ms", before.delay_ms()));
        let all = sound::judge(&heard, 0.0, None).await;
        let digits_out =
            format!("{}{}", call.summary["digits_heard"].as_str().unwrap_or_default(), all.digits());
        row.cell(verdict["digits"].as_str().unwrap_or_default());
        row.expect(verdict["digits"] == "512", format!("the bot heard the digits {}", verdict["digits"]));
        row.cell(&digits_out);
        row.expect(digits_out.matches('7').count() == 1, format!("the caller heard the digits {digits_out}"));
        row.cell(verdict["mark_ms"].as_u64().map_or("-".to_owned(), |ms| format!("{ms} ms")));
        let tone = all.tone_ms("1500");
        row.cell(if self.dialect == "smartpbx" { "-".to_owned() } else { format!("{tone} ms") });
        row.expect(
            self.dialect == "smartpbx" || (160..=520).contains(&tone),
            format!("clear left {tone} ms of the tone"),
        );
        let record = row.cause(record, self.end.cause());
        for (key, value) in [
            ("from", FROM),
            ("phone_dialect", "sip"),
            ("bot_dialect", self.dialect),
            ("bot", self.name),
            ("disposition", "ANSWERED"),
        ] {
            row.expect(record[key] == value, format!("the record's {key} is {}", record[key]));
        }
        row
    }
}

const FROM: &str = "+919876543210";

const fn case(name: &'static str, dialect: &'static str, codec: &'static str, end: End) -> Case {
    Case { name, dialect, example: None, options: &[], settings: "", codec, end }
}

/// OpenAI Realtime with the beta names, by `examples/openai-realtime-beta.toml`.
const fn engine(name: &'static str, changes: &'static [(&'static str, &'static str)], end: End) -> Case {
    let example = Some(Example { peer: "openai-realtime-beta", file: "openai-realtime-beta.toml", changes });
    Case { example, options: ENGINE_OPTIONS, ..case(name, "custom", "PCMU", end) }
}

/// A bot made for Twilio, by `examples/twilio-bot.toml`.
const fn twilio(name: &'static str, codec: &'static str, end: End) -> Case {
    let example = Some(Example { peer: "twilio", file: "twilio-bot.toml", changes: &[] });
    Case { example, options: &["--expect-from", FROM], ..case(name, "custom", codec, end) }
}

const ENGINE_OPTIONS: &[&str] = &[
    "--expect-header",
    "Authorization: Bearer sk-test",
    "--expect-header",
    "OpenAI-Beta: realtime=v1",
    "--expect-from",
    FROM,
];

const KEY: (&str, &str) = ("${OPENAI_API_KEY}", "sk-test");

/// The engine's other format.
const WIDE: &[(&str, &str)] = &[
    KEY,
    ("encoding = \"g711_ulaw\", sample_rate = 8000", "encoding = \"pcm\", sample_rate = 24000"),
    ("g711_ulaw", "pcm16"),
];

const CASES: &[Case] = &[
    case("ivr-binary", "ivr-solutions", "PCMU", End::Caller),
    case("ivr-bot-ends", "ivr-solutions", "PCMA", End::Bot),
    Case { options: &["--audio-as", "json"], ..case("ivr-json", "ivr-solutions", "PCMA", End::Caller) },
    Case {
        settings: "audio = { encoding = \"mulaw\", sample_rate = 8000 }",
        ..case("ivr-mulaw", "ivr-solutions", "PCMU", End::Bot)
    },
    case("incoming-call", "incoming-call", "PCMU", End::Caller),
    Case {
        settings: "cdr = false",
        options: &["--no-cdr"],
        ..case("incoming-call-without-cdr", "incoming-call", "PCMA", End::Bot)
    },
    case("incoming-call-bot-ends", "incoming-call", "PCMU", End::Bot),
    case("smartpbx-pcm16", "smartpbx", "PCMU", End::Caller),
    case("smartpbx-bot-ends", "smartpbx", "PCMA", End::Bot),
    Case {
        settings: "audio = { encoding = \"g711_ulaw\" }",
        ..case("smartpbx-ulaw", "smartpbx", "PCMU", End::Caller)
    },
    case("ozonetel", "ozonetel", "PCMU", End::Caller),
    case("ozonetel-bot-ends", "ozonetel", "PCMA", End::Bot),
    engine("openai-beta", &[KEY], End::Caller),
    engine("openai-beta-bot-ends", &[KEY], End::Bot),
    engine("openai-beta-24-khz", WIDE, End::Caller),
    twilio("twilio-bot", "PCMU", End::Caller),
    twilio("twilio-bot-ends", "PCMA", End::Bot),
];

/// Phones and bots take a share of the machine each.
const CALLS_AT_ONCE: usize = 3;

const VERDICT_MAX: Duration = Duration::from_secs(15);
