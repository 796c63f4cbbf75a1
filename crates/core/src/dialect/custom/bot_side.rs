//! The end of `custom` that holds the phone: says by the mapping's templates, hears what its matches and paths find.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::MARK_NAME_BYTES_MAX;
use super::mapping::{Answer, Mapping, Meaning};
use super::slot::{Identity, Matter};
use super::speech::Speech;
use crate::dialect::envelope::destination::{is_bot_url, phones};
use crate::dialect::envelope::pick::{Picked, pick};
use crate::dialect::envelope::{hear_binary, hear_payload};
use crate::dialect::json::expect_object;
use crate::dialect::registry::BotSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallStart, CommandRefusal, DialDigits, DialOrder, DigitPress, EndedStream,
    HangUpWhen, Moment, RawMessage, Transfer, TransferTo,
};

/// Translates one call for its bot.
#[derive(Debug)]
pub struct CustomBotSide {
    mapping: Arc<Mapping>,
    format: MediaFormat,
    stream: Stream,
}

/// Whether messages may be written.
#[derive(Debug)]
enum Stream {
    /// No start was said: nothing else can be.
    Waiting,
    /// Messages go out.
    Open(Speech),
    /// The stop went out: nothing follows.
    Stopped,
}

impl CustomBotSide {
    /// An end that waits for its start.
    pub fn new(settings: &BotSideSettings) -> Self {
        let mapping = settings.mapping.clone().unwrap_or_default();
        Self { mapping, format: settings.audio.format, stream: Stream::Waiting }
    }

    fn start(&mut self, start: &CallStart, out: &mut Out<CallCommand>) {
        if !matches!(self.stream, Stream::Waiting) {
            return;
        }
        let mut speech = Speech::new(Identity::of(start), self.format);
        if let Some(template) = &self.mapping.start {
            speech.say(template, Matter::None, out);
        }
        self.stream = Stream::Open(speech);
    }

    fn digit(&mut self, press: DigitPress, out: &mut Out<CallCommand>) {
        if let (Stream::Open(speech), Some(template)) = (&mut self.stream, &self.mapping.input_digit) {
            let mut key = [0; 4];
            let key = press.digit.as_char().encode_utf8(&mut key);
            let duration = press.duration.filter(|duration| duration.as_millis() > 0).unwrap_or(TONE);
            let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            speech.say(template, Matter::Keys(key, ms), out);
        }
    }

    fn stop(&mut self, ended: EndedStream, out: &mut Out<CallCommand>) {
        let reason = match ended {
            EndedStream::CallEnded(cause) => cause.row().word,
            EndedStream::Handed => super::HANDED,
        };
        if let (Stream::Open(speech), Some(template)) = (&mut self.stream, &self.mapping.input_stop) {
            speech.say(template, Matter::Word(reason), out);
        }
        self.stream = Stream::Stopped;
    }

    /// The meaning of a message: the first whose kind it has and whose path leads somewhere.
    fn meaning<'a>(&self, found: &[Picked<'a>]) -> Result<Option<(&Answer, Picked<'a>)>, Malformed> {
        let kinds = [found.first(), found.get(1)].map(|kind| kind.copied().unwrap_or_default());
        let mut missing = None;
        for answer in &self.mapping.answers {
            if !answer.kind.as_ref().is_none_or(|kind| kinds.iter().any(|name| name.is_text(kind))) {
                continue;
            }
            let value = match answer.path {
                Some(path) => found.get(path).copied().unwrap_or_default(),
                None => return Ok(Some((answer, Picked::default()))),
            };
            if value.raw().is_some() {
                return Ok(Some((answer, value)));
            }
            if answer.kind.is_some() && missing.is_none() {
                missing = Some(Malformed::Missing(field_of(answer.what)));
            }
        }
        missing.map_or(Ok(None), Err)
    }
}

impl Dialect for CustomBotSide {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallEvent, _now: Moment, out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Started(start) => self.start(start, out),
            CallEvent::Digit(press) => self.digit(*press, out),
            CallEvent::Mark { name, outcome: _ } => {
                if let (Stream::Open(speech), Some(template)) = (&mut self.stream, &self.mapping.input_mark) {
                    speech.say(template, Matter::Word(name), out);
                }
            }
            CallEvent::Ended(ended) => self.stop(*ended, out),
            CallEvent::Cleared
            | CallEvent::Refused(_)
            | CallEvent::Record(_)
            | CallEvent::Flow(_)
            | CallEvent::Speech(_)
            | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallCommand>) {
        if let Stream::Open(speech) = &mut self.stream {
            speech.say_audio(self.mapping.input_audio.as_ref(), audio, out);
        }
    }

    fn decode(&mut self, wire: Wire<'_>, _now: Moment, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        let text = match wire {
            Wire::Text(text) => text,
            Wire::Binary(audio) => return hear_binary(audio, out),
        };
        expect_object(text)?;
        let mut found = [Picked::default(); super::ANSWER_PATHS_MAX];
        let found = found.get_mut(..self.mapping.paths.len()).unwrap_or_default();
        pick(text, &self.mapping.paths, found)?;
        let Some((answer, value)) = self.meaning(found)? else {
            out.hear(CallCommand::Unknown(RawMessage::new(text)));
            return Ok(());
        };
        let field = field_of(answer.what);
        out.hear(match answer.what {
            Meaning::Audio => return hear_payload(value, field, out),
            Meaning::Clear => CallCommand::Clear,
            Meaning::HangUp => CallCommand::HangUp(HangUpWhen::AfterPlayout),
            Meaning::Mark => mark(value, field)?,
            Meaning::Digits => digits(value, field)?,
            Meaning::Transfer => transfer(value, field)?,
        });
        Ok(())
    }

    fn capabilities(&self) -> &[Capability] {
        &self.mapping.capabilities
    }
}

fn mark(value: Picked<'_>, field: &'static str) -> Result<CallCommand, Malformed> {
    let name = value.text(field)?.ok_or(Malformed::Missing(field))?;
    if name.as_str().len() > MARK_NAME_BYTES_MAX {
        return Err(Malformed::Field(field));
    }
    Ok(CallCommand::Mark { name: name.as_str().into() })
}

fn digits(value: Picked<'_>, field: &'static str) -> Result<CallCommand, Malformed> {
    let keys = value.text(field)?.ok_or(Malformed::Missing(field))?;
    Ok(match DialDigits::parse(keys.as_str(), TONE) {
        Ok(digits) => CallCommand::Digits(digits),
        Err(message) => refuse("outputDtmf", "invalid_digits", message),
    })
}

/// One number, a list of numbers that all ring, or the address of another bot.
fn transfer(value: Picked<'_>, field: &'static str) -> Result<CallCommand, Malformed> {
    const COMMAND: &str = "outputTransfer";
    let raw = value.raw().ok_or(Malformed::Missing(field))?;
    let list = match serde_json::from_str(raw).map_err(|_| Malformed::Field(field))? {
        Value::Array(list) => list,
        one => vec![one],
    };
    let texts: Option<Vec<String>> = list.iter().map(text_of).collect();
    let texts = texts.ok_or(Malformed::Field(field))?;
    let to = match texts.as_slice() {
        [url] if is_bot_url(url) => Ok(TransferTo::Bot(url.as_str().into())),
        texts => phones(texts.iter().map(String::as_str))
            .map(|phones| TransferTo::Phones(phones, DialOrder::AllAtOnce)),
    };
    Ok(match to {
        Ok(to) => CallCommand::Transfer(Transfer { to, command: COMMAND }),
        Err(message) => refuse(COMMAND, "invalid_destination", message),
    })
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        _ => None,
    }
}

fn refuse(command: &str, code: &'static str, message: String) -> CallCommand {
    CallCommand::Invalid(CommandRefusal { code, message, command: command.into() })
}

/// The key of the mapping that is blamed for a value.
fn field_of(what: Meaning) -> &'static str {
    match what {
        Meaning::Audio => "outputAudioPath",
        Meaning::Clear => "outputClear.path",
        Meaning::HangUp => "outputHangup.path",
        Meaning::Mark => "outputMark.path",
        Meaning::Digits => "outputDtmf.path",
        Meaning::Transfer => "outputTransfer.path",
    }
}

/// How long each digit to the caller sounds, and a key of unknown length was held.
const TONE: Duration = Duration::from_millis(100);
