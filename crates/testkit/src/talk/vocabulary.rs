//! Events and commands as the text of a talk, both ways.

use std::time::Duration;

use patchcord_core::media::{Encoding, MediaFormat};
use patchcord_core::vocabulary::{
    CallCommand, CallEvent, CallId, CallRecord, CallStart, Cause, CommandRefusal, Counters, DialDigits,
    DialOrder, Digit, DigitPress, Direction, EndedStream, HangUpWhen, HungUpBy, MarkOutcome, Moment,
    PhoneNumber, Quality, REASONS, RawMessage, Reason, StreamId, Transfer, TransferTo, WallClock,
};

use super::speech;
use super::words::{quote, split};

/// What the text of a talk leaves unsaid.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) dialect: String,
    pub(super) clock: WallClock,
    /// The last text message that came, for `raw=kept`.
    pub(super) last_wire: String,
}

/// An event or a command, which a talk can say.
pub(super) trait Word: Sized + PartialEq {
    /// What its lines begin with.
    const KEYWORD: &'static str;

    /// Reads the line after its keyword.
    fn parse(text: &str, scene: &Scene) -> Result<Self, String>;

    /// Writes the line after its keyword.
    fn format(&self, scene: &Scene) -> String;
}

impl Word for CallEvent {
    const KEYWORD: &'static str = "event";

    fn parse(text: &str, scene: &Scene) -> Result<Self, String> {
        if let Some(raw) = text.strip_prefix("unknown ") {
            return Ok(Self::Unknown(RawMessage::new(raw.trim())));
        }
        let words = split(text)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(match words.as_slice() {
            ["started", call, from, "->", to, format, names @ ..] => {
                Self::Started(Box::new(parse_start(call, from, to, format, names, scene)?))
            }
            ["digit", key] => Self::Digit(DigitPress { digit: digit(key)?, duration: None }),
            ["digit", key, held] => {
                Self::Digit(DigitPress { digit: digit(key)?, duration: Some(millis(held)?) })
            }
            ["mark", name, "played"] => Self::Mark { name: (*name).into(), outcome: MarkOutcome::Played },
            ["mark", name, "cleared"] => Self::Mark { name: (*name).into(), outcome: MarkOutcome::Cleared },
            ["cleared"] => Self::Cleared,
            ["refused", code, command, message] => Self::Refused(refusal(code, command, message)),
            ["ended", "handed"] => Self::Ended(EndedStream::Handed),
            ["ended", word] => Self::Ended(EndedStream::CallEnded(cause(word)?)),
            ["record", call, from, "->", to, names @ ..] => {
                Self::Record(Box::new(parse_record(call, from, to, names, scene)?))
            }
            words => match speech::parse_event(words) {
                Some(event) => Self::Speech(event?),
                None => return Err(format!("`{text}` is no event")),
            },
        })
    }

    fn format(&self, scene: &Scene) -> String {
        match self {
            Self::Started(start) => format_start(start, scene),
            Self::Digit(press) => match press.duration {
                Some(held) => format!("digit {} {}ms", press.digit.as_char(), held.as_millis()),
                None => format!("digit {}", press.digit.as_char()),
            },
            Self::Mark { name, outcome: MarkOutcome::Played } => format!("mark {} played", quote(name)),
            Self::Mark { name, outcome: MarkOutcome::Cleared } => format!("mark {} cleared", quote(name)),
            Self::Cleared => "cleared".to_owned(),
            Self::Refused(refusal) => format!("refused {}", format_refusal(refusal)),
            Self::Ended(EndedStream::Handed) => "ended handed".to_owned(),
            Self::Ended(EndedStream::CallEnded(cause)) => format!("ended {}", cause.row().word),
            Self::Record(record) => format_record(record, scene),
            Self::Flow(event) => format!("flow {event:?}"),
            Self::Speech(event) => speech::format_event(event),
            Self::Unknown(raw) => format!("unknown {}", raw.as_str()),
        }
    }
}

impl Word for CallCommand {
    const KEYWORD: &'static str = "command";

    fn parse(text: &str, _scene: &Scene) -> Result<Self, String> {
        if let Some(raw) = text.strip_prefix("unknown ") {
            return Ok(Self::Unknown(RawMessage::new(raw.trim())));
        }
        let words = split(text)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        Ok(match words.as_slice() {
            ["answer"] => Self::Answer,
            ["digits", keys] => Self::Digits(DialDigits::parse(keys, TONE_WHEN_LEFT_OUT)?),
            ["digits", keys, tone] => Self::Digits(DialDigits::parse(keys, millis(tone)?)?),
            ["mark", name] => Self::Mark { name: (*name).into() },
            ["clear"] => Self::Clear,
            ["transfer", to @ .., "as", command] => {
                Self::Transfer(Transfer { to: parse_target(to)?, command: leak(command) })
            }
            ["hangup", "after-playout"] => Self::HangUp(HangUpWhen::AfterPlayout),
            ["hangup", "now"] => Self::HangUp(HangUpWhen::Now),
            ["invalid", code, command, message] => Self::Invalid(refusal(code, command, message)),
            words => match speech::parse_command(words) {
                Some(command) => Self::Speech(command?),
                None => return Err(format!("`{text}` is no command")),
            },
        })
    }

    fn format(&self, _scene: &Scene) -> String {
        match self {
            Self::Answer => "answer".to_owned(),
            Self::Digits(dial) => {
                let keys: String = dial.steps().iter().map(|step| step.map_or(',', Digit::as_char)).collect();
                format!("digits {keys} {}ms", dial.tone().as_millis())
            }
            Self::Mark { name } => format!("mark {}", quote(name)),
            Self::Clear => "clear".to_owned(),
            Self::Transfer(transfer) => {
                format!("transfer {} as {}", format_target(&transfer.to), quote(transfer.command))
            }
            Self::HangUp(HangUpWhen::AfterPlayout) => "hangup after-playout".to_owned(),
            Self::HangUp(HangUpWhen::Now) => "hangup now".to_owned(),
            Self::Flow(command) => format!("flow {command:?}"),
            Self::Speech(command) => speech::format_command(command),
            Self::Invalid(refusal) => format!("invalid {}", format_refusal(refusal)),
            Self::Unknown(raw) => format!("unknown {}", raw.as_str()),
        }
    }
}

fn parse_start(
    call: &str,
    from: &str,
    to: &str,
    format: &str,
    names: &[&str],
    scene: &Scene,
) -> Result<CallStart, String> {
    let mut start = CallStart {
        call_id: CallId::from_wire(call),
        stream_id: StreamId::from_wire(STREAM_WHEN_LEFT_OUT),
        other_leg_id: LEG_WHEN_LEFT_OUT.to_owned(),
        account: ACCOUNT_WHEN_LEFT_OUT.to_owned(),
        from: PhoneNumber::new(from),
        to: PhoneNumber::new(to),
        country: None,
        direction: Direction::Inbound,
        format: media_format(format)?,
        custom: Vec::new(),
        raw: None,
        clock: scene.clock,
    };
    for (name, value) in named(names)? {
        match name {
            "stream" => start.stream_id = StreamId::from_wire(value),
            "leg" => start.other_leg_id = value.to_owned(),
            "account" => start.account = value.to_owned(),
            "country" => start.country = Some(value.to_owned()),
            "direction" => start.direction = direction(value)?,
            "raw" if value == "kept" => start.raw = Some(scene.last_wire.as_str().into()),
            "raw" => start.raw = Some(value.into()),
            _ => match name.strip_prefix("custom.") {
                Some(name) => start.custom.push((name.to_owned(), value.to_owned())),
                None => return Err(format!("`{name}=` is no part of a start")),
            },
        }
    }
    Ok(start)
}

fn format_start(start: &CallStart, scene: &Scene) -> String {
    let mut text = format!(
        "started {} {} -> {} {}",
        quote(start.call_id.as_str()),
        quote(start.from.as_str()),
        quote(start.to.as_str()),
        start.format
    );
    let mut add = |name: &str, value: &str, left_out: &str| {
        if value != left_out {
            text.push_str(&format!(" {name}={}", quote(value)));
        }
    };
    add("stream", start.stream_id.as_str(), STREAM_WHEN_LEFT_OUT);
    add("leg", &start.other_leg_id, LEG_WHEN_LEFT_OUT);
    add("account", &start.account, ACCOUNT_WHEN_LEFT_OUT);
    if let Some(country) = &start.country {
        add("country", country, "\0");
    }
    add("direction", direction_word(start.direction), "inbound");
    for (name, value) in &start.custom {
        add(&format!("custom.{name}"), value, "\0");
    }
    match start.raw.as_deref() {
        Some(raw) if raw == scene.last_wire => add("raw", "kept", ""),
        Some(raw) => add("raw", raw, "\0"),
        None => {}
    }
    text
}

fn parse_record(
    call: &str,
    from: &str,
    to: &str,
    names: &[&str],
    scene: &Scene,
) -> Result<CallRecord, String> {
    let caller = Cause::new(Reason::CallerHungUp);
    let mut record = CallRecord {
        call_id: CallId::from_wire(call),
        stream_id: StreamId::from_wire(STREAM_WHEN_LEFT_OUT),
        phone_leg_id: LEG_WHEN_LEFT_OUT.into(),
        from: PhoneNumber::new(from),
        to: PhoneNumber::new(to),
        direction: Direction::Inbound,
        bot: "bot".into(),
        phone_dialect: "sip".into(),
        bot_dialect: scene.dialect.as_str().into(),
        clock: scene.clock,
        started_at: Moment::START,
        answered_at: None,
        earlier_bots: Vec::new(),
        bot_failed_at: None,
        ended_at: Moment::START,
        cause: caller,
        hung_up_by: caller.by(),
        far_end: None,
        counters: Counters::default(),
        quality: Quality::default(),
        transfers: Vec::new(),
    };
    for (name, value) in named(names)? {
        match name {
            "stream" => record.stream_id = StreamId::from_wire(value),
            "leg" => record.phone_leg_id = value.into(),
            "direction" => record.direction = direction(value)?,
            "bot" => record.bot = value.into(),
            "phone" => record.phone_dialect = value.into(),
            "dialect" => record.bot_dialect = value.into(),
            "started" => record.started_at = Moment::START + millis(value)?,
            "answered" => record.answered_at = Some(Moment::START + millis(value)?),
            "ended" => record.ended_at = Moment::START + millis(value)?,
            "cause" => {
                record.cause = cause(value)?;
                record.hung_up_by = record.cause.by();
            }
            "by" => record.hung_up_by = hung_up_by(value)?,
            _ => return Err(format!("`{name}=` is no part of a record")),
        }
    }
    Ok(record)
}

fn format_record(record: &CallRecord, scene: &Scene) -> String {
    let mut text = format!(
        "record {} {} -> {}",
        quote(record.call_id.as_str()),
        quote(record.from.as_str()),
        quote(record.to.as_str())
    );
    let mut add = |name: &str, value: &str, left_out: &str| {
        if value != left_out {
            text.push_str(&format!(" {name}={}", quote(value)));
        }
    };
    add("stream", record.stream_id.as_str(), STREAM_WHEN_LEFT_OUT);
    add("leg", &record.phone_leg_id, LEG_WHEN_LEFT_OUT);
    add("direction", direction_word(record.direction), "inbound");
    add("bot", &record.bot, "bot");
    add("phone", &record.phone_dialect, "sip");
    add("dialect", &record.bot_dialect, &scene.dialect);
    add("started", &format!("{}ms", record.started_at.as_millis()), "0ms");
    if let Some(answered) = record.answered_at {
        add("answered", &format!("{}ms", answered.as_millis()), "");
    }
    add("ended", &format!("{}ms", record.ended_at.as_millis()), "0ms");
    add("cause", record.cause.row().word, "caller_hung_up");
    add("by", record.hung_up_by.word(), record.cause.by().word());
    text
}

fn parse_target(words: &[&str]) -> Result<TransferTo, String> {
    Ok(match words {
        ["phones", numbers @ .., order] => {
            let order = match *order {
                "all-at-once" => DialOrder::AllAtOnce,
                "one-by-one" => DialOrder::OneByOne,
                _ => return Err(format!("`{order}` is no order: expected all-at-once or one-by-one")),
            };
            TransferTo::Phones(numbers.iter().map(|number| PhoneNumber::new(number)).collect(), order)
        }
        ["extension", name] => TransferTo::Extension((*name).into()),
        ["flow", name] => TransferTo::Flow((*name).into()),
        ["bot", url] => TransferTo::Bot((*url).into()),
        ["bot-named", name] => TransferTo::NamedBot((*name).into()),
        _ => return Err(format!("`{}` is no target of a transfer", words.join(" "))),
    })
}

fn format_target(to: &TransferTo) -> String {
    match to {
        TransferTo::Phones(numbers, order) => {
            let numbers: Vec<String> = numbers.iter().map(|number| quote(number.as_str())).collect();
            let order = match order {
                DialOrder::AllAtOnce => "all-at-once",
                DialOrder::OneByOne => "one-by-one",
            };
            format!("phones {} {order}", numbers.join(" "))
        }
        TransferTo::Extension(name) => format!("extension {}", quote(name)),
        TransferTo::Flow(name) => format!("flow {}", quote(name)),
        TransferTo::Bot(url) => format!("bot {}", quote(url)),
        TransferTo::NamedBot(name) => format!("bot-named {}", quote(name)),
    }
}

fn named<'a>(words: &[&'a str]) -> Result<Vec<(&'a str, &'a str)>, String> {
    words
        .iter()
        .map(|word| word.split_once('=').ok_or_else(|| format!("`{word}` is not of the form name=value")))
        .collect()
}

fn refusal(code: &str, command: &str, message: &str) -> CommandRefusal {
    CommandRefusal { code: leak(code), message: message.to_owned(), command: command.into() }
}

fn format_refusal(refusal: &CommandRefusal) -> String {
    format!(
        "{} {} {}",
        quote(refusal.code),
        quote(&refusal.command),
        serde_json::Value::from(refusal.message.as_str())
    )
}

/// Words that the vocabulary wants for ever; a test process is short enough.
fn leak(word: &str) -> &'static str {
    Box::leak(word.to_owned().into_boxed_str())
}

fn digit(key: &str) -> Result<Digit, String> {
    Digit::try_from(key).map_err(|error| format!("`{key}`: {error}"))
}

/// Reads `120ms`.
pub(super) fn millis(word: &str) -> Result<Duration, String> {
    let number = word.strip_suffix("ms").and_then(|number| number.parse().ok());
    number.map(Duration::from_millis).ok_or_else(|| format!("`{word}` is no time: expected such as 120ms"))
}

fn cause(word: &str) -> Result<Cause, String> {
    let row = REASONS.iter().find(|row| row.word == word);
    row.map(|row| Cause::new(row.reason)).ok_or_else(|| format!("`{word}` is no reason of the cause table"))
}

fn hung_up_by(word: &str) -> Result<HungUpBy, String> {
    let all = [HungUpBy::Caller, HungUpBy::Bot, HungUpBy::System];
    all.into_iter()
        .find(|by| by.word() == word)
        .ok_or_else(|| format!("`{word}`: expected caller, bot or system"))
}

fn direction(word: &str) -> Result<Direction, String> {
    match word {
        "inbound" => Ok(Direction::Inbound),
        "outbound" => Ok(Direction::Outbound),
        _ => Err(format!("`{word}`: expected inbound or outbound")),
    }
}

fn direction_word(direction: Direction) -> &'static str {
    match direction {
        Direction::Inbound => "inbound",
        Direction::Outbound => "outbound",
    }
}

fn media_format(word: &str) -> Result<MediaFormat, String> {
    let wrong = || format!("`{word}` is no format: expected linear16/RATE, PCMU/RATE or PCMA/RATE");
    let (encoding, rate) = word.split_once('/').ok_or_else(wrong)?;
    let encoding = match encoding {
        "linear16" => Encoding::Linear16,
        "PCMU" => Encoding::Pcmu,
        "PCMA" => Encoding::Pcma,
        _ => return Err(wrong()),
    };
    Ok(MediaFormat { encoding, sample_rate: rate.parse().map_err(|_| wrong())? })
}

const STREAM_WHEN_LEFT_OUT: &str = "1707204900.123";
const LEG_WHEN_LEFT_OUT: &str = "leg_1";
const ACCOUNT_WHEN_LEFT_OUT: &str = "patchcord";
const TONE_WHEN_LEFT_OUT: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    fn survives<W: Word>(lines: &[&str]) {
        let scene = Scene {
            dialect: "x".into(),
            clock: WallClock::new(0, Moment::START),
            last_wire: r#"{"event":"start"}"#.into(),
        };
        for line in lines {
            let word = W::parse(line, &scene).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(word.format(&scene), *line);
        }
    }

    #[test]
    fn every_event_and_command_is_read_and_written_alike() {
        survives::<CallEvent>(&[
            "started call_1 9876543210 -> 18001234567 linear16/8000",
            "started c \"\" -> \"my bot\" PCMU/8000 stream=\"\" leg=l2 account=a country=91 direction=outbound custom.k=\"a b\" raw=kept",
            "digit #",
            "digit 1 120ms",
            "mark intro_complete played",
            "mark \"two words\" cleared",
            "cleared",
            "refused not_supported session.transfer \"no trunk\"",
            "ended caller_hung_up",
            "ended handed",
            "record call_1 1 -> 2 bot=b phone=ozonetel answered=5000ms ended=17000ms cause=bot_hung_up by=caller",
            "unknown {\"event\": \"weather\"}",
        ]);
        survives::<CallCommand>(&[
            "answer",
            "digits 12,# 100ms",
            "mark intro_complete",
            "clear",
            "transfer phones 0987 0988 all-at-once as session.transfer",
            "transfer bot wss://new-bot.example.com/voice as session.transfer_ws",
            "transfer extension 101 as session.transfer_extension",
            "transfer flow sales_flow as session.flow_transfer",
            "hangup after-playout",
            "hangup now",
            "invalid bad_digit dtmf \"one of 0-9\"",
            "unknown x",
        ]);
    }
}
