//! The end of `custom` that is the bot: hears messages of the templates' shapes, says what the matches and paths ask for.
//!
//! The inverse of the table: a vendor streams its calls to us in the very messages that a bot of this mapping gets.

use std::sync::Arc;
use std::time::Duration;

use super::MARK_NAME_BYTES_MAX;
use super::mapping::{Mapping, Meaning};
use super::slot::{Identity, Matter, Slot};
use super::speech::Speech;
use super::wire::Reading;
use crate::dialect::envelope::hear_binary;
use crate::dialect::json::expect_object;
use crate::dialect::length::Length;
use crate::dialect::registry::PhoneSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallId, CallStart, Cause, DialDigits, Digit, DigitPress, Direction, EndedStream,
    HangUpWhen, MarkOutcome, Moment, PhoneNumber, REASONS, RawMessage, Reason, StreamId, Transfer,
    TransferTo, WallClock,
};

/// Translates one call for its vendor.
#[derive(Debug)]
pub struct CustomPhoneSide {
    mapping: Arc<Mapping>,
    format: MediaFormat,
    seed: u64,
    clock: WallClock,
    stream: Stream,
}

/// How far the vendor's stream is.
#[derive(Debug)]
enum Stream {
    /// No start came.
    Waiting,
    /// The call is on.
    Open(Speech),
    /// The stop came.
    Stopped,
}

/// Which template a message has the shape of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Audio,
    Digit,
    Mark,
    Start,
    Stop,
}

impl CustomPhoneSide {
    /// An end that waits for the vendor's start, or its first message where the mapping has none.
    pub fn new(settings: &PhoneSideSettings) -> Self {
        Self {
            mapping: settings.mapping.clone().unwrap_or_default(),
            format: settings.audio.format,
            seed: settings.seed,
            clock: settings.clock,
            stream: Stream::Waiting,
        }
    }

    /// What a message of `shape` does to the stream: the start opens it, or the first message where no start exists.
    fn arrive(
        &mut self,
        shape: Shape,
        message: Option<(&Reading<'_, '_>, &str)>,
        out: &mut Out<CallEvent>,
    ) -> Result<(), Malformed> {
        let starts = shape == Shape::Start || self.mapping.start.is_none();
        match self.stream {
            Stream::Open(_) if shape != Shape::Start => return Ok(()),
            Stream::Waiting if starts => {}
            Stream::Waiting | Stream::Open(_) | Stream::Stopped => {
                return Err(Malformed::Unexpected(shape.key()));
            }
        }
        let start = self.call_start(message)?;
        self.stream = Stream::Open(Speech::new(Identity::of(&start), self.format));
        out.hear(CallEvent::Started(Box::new(start)));
        Ok(())
    }

    /// What the first message tells of the call; ids that it does not tell are our own.
    fn call_start(&self, message: Option<(&Reading<'_, '_>, &str)>) -> Result<CallStart, Malformed> {
        let value = |slot: Slot| match message {
            Some((reading, _)) => Ok(reading.text(slot)?.map(|text| text.as_str().to_owned())),
            None => Ok(None),
        };
        let [call, session] =
            [value(Slot::CallId)?, value(Slot::SessionId)?].map(|id| id.filter(|id| !id.is_empty()));
        let own = || format!("{:016x}", self.seed);
        let call_id = CallId::from_wire(&call.clone().or(session.clone()).unwrap_or_else(own));
        let other_leg_id = call_id.as_str().to_owned();
        Ok(CallStart {
            call_id,
            stream_id: StreamId::from_wire(&session.or(call).unwrap_or_else(own)),
            other_leg_id,
            account: String::new(),
            from: PhoneNumber::new(&value(Slot::Caller)?.unwrap_or_default()),
            to: PhoneNumber::new(&value(Slot::Did)?.unwrap_or_default()),
            country: None,
            direction: Direction::Inbound,
            format: self.format,
            custom: Vec::new(),
            raw: message.map(|(_, text)| text.into()),
            clock: self.clock,
        })
    }

    fn hear_text(&mut self, text: &str, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        let mapping = self.mapping.clone();
        let is_open = matches!(self.stream, Stream::Open(_));
        let Some((shape, reading)) = shape(&mapping, text, is_open)? else {
            out.hear(CallEvent::Unknown(RawMessage::new(text)));
            return Ok(());
        };
        let message = Some((&reading, text));
        match shape {
            Shape::Start => self.arrive(shape, message, out),
            Shape::Audio => {
                let audio = reading.audio()?.ok_or(Malformed::Missing(shape.key()))?;
                let broken = |_| Malformed::Base64(shape.key());
                if matches!(self.stream, Stream::Waiting) {
                    // A broken message does not begin a call.
                    audio.decode(&mut out.scratch).map_err(broken)?;
                }
                self.arrive(shape, message, out)?;
                out.hear_audio(|to| audio.decode(to)).map_err(broken)
            }
            Shape::Digit | Shape::Mark | Shape::Stop => {
                let event = match shape {
                    Shape::Digit => digit(&reading)?,
                    Shape::Mark => mark(&reading)?,
                    _ => CallEvent::Ended(ended(&reading)?),
                };
                self.arrive(shape, message, out)?;
                if shape == Shape::Stop {
                    self.stream = Stream::Stopped;
                }
                out.hear(event);
                Ok(())
            }
        }
    }

    /// Says an answer, if the mapping has it.
    fn say(&mut self, what: Meaning, matter: Matter<'_>, out: &mut Out<CallEvent>) {
        if let (Stream::Open(speech), Some(answer)) = (&mut self.stream, self.mapping.answer(what)) {
            speech.say(&answer.message, matter, out);
        }
    }

    fn transfer(&mut self, transfer: &Transfer, out: &mut Out<CallEvent>) {
        match &transfer.to {
            TransferTo::Phones(phones, _) => self.say(Meaning::Transfer, Matter::Phones(phones), out),
            TransferTo::Bot(url) => self.say(Meaning::Transfer, Matter::Word(url), out),
            // A mapping has one place for one kind of address: a number or a URL.
            TransferTo::Extension(_) | TransferTo::Flow(_) | TransferTo::NamedBot(_) => {}
        }
    }
}

impl Dialect for CustomPhoneSide {
    type Say = CallCommand;
    type Hear = CallEvent;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallCommand, _now: Moment, out: &mut Out<CallEvent>) {
        match say {
            CallCommand::Digits(digits) => {
                let keys = keys(digits);
                let ms = u64::try_from(digits.tone().as_millis()).unwrap_or(u64::MAX);
                self.say(Meaning::Digits, Matter::Keys(&keys, ms), out);
            }
            CallCommand::Mark { name } => self.say(Meaning::Mark, Matter::Word(name), out),
            CallCommand::Clear => self.say(Meaning::Clear, Matter::None, out),
            CallCommand::Transfer(transfer) => self.transfer(transfer, out),
            CallCommand::HangUp(when) => {
                // The other end hangs up after playout: at once is after nothing.
                if *when == HangUpWhen::Now {
                    self.say(Meaning::Clear, Matter::None, out);
                }
                match self.mapping.answer(Meaning::HangUp) {
                    Some(_) => self.say(Meaning::HangUp, Matter::None, out),
                    None => out.close(1000),
                }
            }
            CallCommand::Answer
            | CallCommand::Flow(_)
            | CallCommand::Invalid(_)
            | CallCommand::Speech(_)
            | CallCommand::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallEvent>) {
        if let Stream::Open(speech) = &mut self.stream {
            let answer = self.mapping.answer(Meaning::Audio);
            speech.say_audio(answer.map(|answer| &answer.message), audio, out);
        }
    }

    fn decode(&mut self, wire: Wire<'_>, _now: Moment, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        match wire {
            Wire::Text(text) => {
                expect_object(text)?;
                self.hear_text(text, out)
            }
            Wire::Binary(audio) => {
                self.arrive(Shape::Audio, None, out)?;
                hear_binary(audio, out)
            }
        }
    }

    fn capabilities(&self) -> &[Capability] {
        &self.mapping.capabilities
    }
}

impl Shape {
    /// The key of the mapping.
    fn key(self) -> &'static str {
        match self {
            Self::Audio => "inputTemplate",
            Self::Digit => "inputDtmf",
            Self::Mark => "inputMark",
            Self::Start => "sessionStartMessage",
            Self::Stop => "inputStop",
        }
    }
}

/// The shape of a message: the first whose signs it bears and whose own value it holds. Audio comes first: it is what
/// comes most, and of an open call nothing else is read with it.
fn shape<'t, 'a>(
    mapping: &'t Mapping,
    text: &'a str,
    is_open: bool,
) -> Result<Option<(Shape, Reading<'t, 'a>)>, Malformed> {
    let shapes = [
        (Shape::Audio, &mapping.input_audio, Some(Slot::Audio)),
        (Shape::Digit, &mapping.input_digit, Some(Slot::Digit)),
        (Shape::Mark, &mapping.input_mark, Some(Slot::Name)),
        (Shape::Start, &mapping.start, None),
        (Shape::Stop, &mapping.input_stop, None),
    ];
    let mut missing = None;
    for (shape, template, own) in shapes {
        let Some(template) = template else { continue };
        let reading =
            if is_open && shape == Shape::Audio { template.read_audio(text) } else { template.read(text) };
        let Some(reading) = reading? else { continue };
        if own.is_none_or(|own| !template.has(own) || reading.has(own)) {
            return Ok(Some((shape, reading)));
        }
        if missing.is_none() && template.is_signed() {
            missing = Some(Malformed::Missing(shape.key()));
        }
    }
    missing.map_or(Ok(None), Err)
}

fn digit(reading: &Reading<'_, '_>) -> Result<CallEvent, Malformed> {
    let key = reading.text(Slot::Digit)?.ok_or(Malformed::Missing("digit"))?;
    let digit = Digit::try_from(key.as_str()).map_err(|_| Malformed::Field("digit"))?;
    let duration = reading.text(Slot::Duration)?.and_then(|text| Length::of_text(text.as_str()).0);
    let duration = duration.filter(|ms| *ms > 0).map(Duration::from_millis);
    Ok(CallEvent::Digit(DigitPress { digit, duration }))
}

fn mark(reading: &Reading<'_, '_>) -> Result<CallEvent, Malformed> {
    let name = reading.text(Slot::Name)?;
    let name = name.as_ref().map_or("", |name| name.as_str());
    if name.len() > MARK_NAME_BYTES_MAX {
        return Err(Malformed::Field("name"));
    }
    // The wire does not say whether the audio before the mark was heard or cleared.
    Ok(CallEvent::Mark { name: name.into(), outcome: MarkOutcome::Played })
}

fn ended(reading: &Reading<'_, '_>) -> Result<EndedStream, Malformed> {
    let word = reading.text(Slot::Reason)?;
    let word = word.as_ref().map_or("", |word| word.as_str());
    if word == super::HANDED {
        return Ok(EndedStream::Handed);
    }
    let row = REASONS.iter().find(|row| row.word == word);
    Ok(EndedStream::CallEnded(Cause::new(row.map_or(Reason::CallerHungUp, |row| row.reason))))
}

fn keys(digits: &DialDigits) -> String {
    digits.steps().iter().map(|step| step.map_or(',', Digit::as_char)).collect()
}
