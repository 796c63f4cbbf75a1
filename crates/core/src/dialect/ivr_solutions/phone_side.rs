//! The end of `ivr-solutions` that is the bot and faces the platform: says §6's commands, hears §5's events.

use std::time::Duration;

use super::wire::{ErrorMessage, MarkMessage, MediaFormat as WireFormat, Start};
use super::wire::{StartMessage, StopMessage};
use super::{CAPABILITIES, MARK_NAME_BYTES_MAX, field, format_of};
use crate::dialect::envelope::audio::is_possible;
use crate::dialect::envelope::destination::write_phones;
use crate::dialect::envelope::{digit, hear_binary, hear_payload};
use crate::dialect::json::{Text, write_base64, write_string};
use crate::dialect::registry::PhoneSideSettings;
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallId, CallStart, Cause, CommandRefusal, DialDigits, DialOrder, Direction,
    EndedStream, HangUpWhen, MarkOutcome, Moment, PhoneNumber, RawMessage, Reason, StreamId, Transfer,
    TransferTo, WallClock,
};

/// Translates one call for its platform.
#[derive(Debug)]
pub struct IvrPhoneSide {
    format: MediaFormat,
    clock: WallClock,
    stream: Stream,
    /// Clears of ours that the platform has not answered, and until when an answer is expected.
    clears: (u32, Moment),
}

/// How far the platform's stream is.
#[derive(Debug)]
enum Stream {
    /// No start came.
    Waiting,
    /// The call is on; its id as a ready-made JSON string.
    Open { stream_sid: Vec<u8> },
    /// The stop came.
    Stopped,
}

impl IvrPhoneSide {
    /// An end that waits for the platform's start.
    pub fn new(settings: &PhoneSideSettings) -> Self {
        Self {
            format: settings.audio.format,
            clock: settings.clock,
            stream: Stream::Waiting,
            clears: (0, Moment::START),
        }
    }

    fn hear_start(&mut self, text: &str, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        if !matches!(self.stream, Stream::Waiting) {
            return Err(Malformed::Unexpected("start"));
        }
        let message: StartMessage<'_> = serde_json::from_str(text).map_err(|_| Malformed::Field("start"))?;
        let start = message.start.ok_or(Malformed::Missing("start"))?;
        let format = self.format_in(start.media_format.as_ref())?;
        let stream_id = start.stream_sid.as_ref().or(message.stream_sid.as_ref()).or(start.call_sid.as_ref());
        let stream_id =
            stream_id.filter(|id| !id.as_str().is_empty()).ok_or(Malformed::Missing("stream_sid"))?;
        let call_id = start.call_sid.as_ref().filter(|id| !id.as_str().is_empty()).unwrap_or(stream_id);
        let stream_id = StreamId::from_wire(stream_id.as_str());
        let call_id = CallId::from_wire(call_id.as_str());
        let mut stream_sid = Vec::new();
        write_string(&mut stream_sid, stream_id.as_str());
        self.stream = Stream::Open { stream_sid };
        self.format = format;
        let other_leg_id = call_id.as_str().to_owned();
        out.hear(CallEvent::Started(Box::new(CallStart {
            call_id,
            stream_id,
            other_leg_id,
            account: CallId::from_wire(text_of(&start.account_sid)).as_str().to_owned(),
            from: PhoneNumber::new(text_of(&start.from)),
            to: PhoneNumber::new(text_of(&start.to)),
            country: None,
            direction: Direction::Inbound,
            format,
            custom: custom(start),
            raw: Some(text.into()),
            clock: self.clock,
        })));
        Ok(())
    }

    /// The format that the start names; what it leaves out stays as configured.
    fn format_in(&self, named: Option<&WireFormat<'_>>) -> Result<MediaFormat, Malformed> {
        let Some(named) = named else { return Ok(self.format) };
        let encoding = match &named.encoding {
            Some(word) => {
                format_of(word.as_str()).ok_or(Malformed::Field("start.media_format.encoding"))?.encoding
            }
            None => self.format.encoding,
        };
        let sample_rate = match named.sample_rate {
            Some(rate) => u32::try_from(rate.0).unwrap_or(0),
            None => self.format.sample_rate,
        };
        let format = MediaFormat { encoding, sample_rate };
        is_possible(format).then_some(format).ok_or(Malformed::Field("start.media_format.sample_rate"))
    }

    fn hear_event(
        &mut self,
        text: &str,
        name: &str,
        now: Moment,
        out: &mut Out<CallEvent>,
    ) -> Result<(), Malformed> {
        let event = match name {
            "connected" => return Ok(()),
            "start" => return self.hear_start(text, out),
            "dtmf" => self.if_open("dtmf").and_then(|()| digit(text))?,
            "mark" => self.if_open("mark").and_then(|()| mark(text))?,
            "clear" => {
                self.if_open("clear")?;
                if self.is_answered_clear(now) {
                    return Ok(());
                }
                CallEvent::Cleared
            }
            "error" => self.if_open("error").and_then(|()| refused(text))?,
            "stop" => {
                let ended = self.if_open("stop").and_then(|()| stop(text))?;
                self.stream = Stream::Stopped;
                CallEvent::Ended(ended)
            }
            _ => CallEvent::Unknown(RawMessage::new(text)),
        };
        out.hear(event);
        Ok(())
    }

    /// Drops what waits at the platform.
    fn clear(&mut self, now: Moment, out: &mut Out<CallEvent>) {
        self.clears = (self.clears.0.saturating_add(1), now + CLEAR_ANSWER_MAX);
        out.text(WireClass::Control, |to| to.extend_from_slice(br#"{"type":"audio.clear"}"#));
    }

    /// Whether a `clear` is the answer to one of ours: what the bot has said since must not be dropped by it.
    fn is_answered_clear(&mut self, now: Moment) -> bool {
        let (unanswered, until) = &mut self.clears;
        if now > *until {
            *unanswered = 0;
        }
        let is_answer = *unanswered > 0;
        *unanswered = unanswered.saturating_sub(1);
        is_answer
    }

    fn if_open(&self, name: &'static str) -> Result<(), Malformed> {
        match self.stream {
            Stream::Open { .. } => Ok(()),
            Stream::Waiting | Stream::Stopped => Err(Malformed::Unexpected(name)),
        }
    }
}

impl Dialect for IvrPhoneSide {
    type Say = CallCommand;
    type Hear = CallEvent;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallCommand, now: Moment, out: &mut Out<CallEvent>) {
        let Stream::Open { stream_sid } = &self.stream else { return };
        match say {
            CallCommand::Digits(digits) => out.text(WireClass::Control, |to| write_digits(to, digits)),
            CallCommand::Mark { name } => out.text(WireClass::Control, |to| {
                field(to, r#"{"event":"mark","stream_sid":"#, stream_sid);
                to.extend_from_slice(br#","mark":{"name":"#);
                write_string(to, name);
                to.extend_from_slice(b"}}");
            }),
            CallCommand::Clear => self.clear(now, out),
            // The names of our bots are nothing on this wire.
            CallCommand::Transfer(Transfer { to: TransferTo::NamedBot(_), .. }) => {}
            CallCommand::Transfer(transfer) => {
                out.text(WireClass::Control, |to| write_transfer(to, transfer))
            }
            CallCommand::HangUp(when) => {
                // The platform hangs up after playout: at once is after nothing.
                if *when == HangUpWhen::Now {
                    self.clear(now, out);
                }
                out.text(WireClass::Control, |to| to.extend_from_slice(br#"{"type":"session.hangup"}"#));
            }
            CallCommand::Answer
            | CallCommand::Flow(_)
            | CallCommand::Invalid(_)
            | CallCommand::Speech(_)
            | CallCommand::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallEvent>) {
        if !matches!(self.stream, Stream::Open { .. }) {
            return;
        }
        out.text(WireClass::Audio, |to| {
            to.extend_from_slice(br#"{"type":"response.audio.delta","delta":""#);
            write_base64(to, audio);
            to.extend_from_slice(br#""}"#);
        });
    }

    fn decode(&mut self, wire: Wire<'_>, now: Moment, out: &mut Out<CallEvent>) -> Result<(), Malformed> {
        let text = match wire {
            Wire::Text(text) => text,
            Wire::Binary(audio) => {
                self.if_open("binary audio")?;
                return hear_binary(audio, out);
            }
        };
        let [event, kind, payload, _] = super::message(text)?;
        if event.is_text("media") {
            self.if_open("media")?;
            return hear_payload(payload, "media.payload", out);
        }
        let [event, _] = super::name(event, kind)?;
        self.hear_event(text, text_of(&event), now, out)
    }

    fn capabilities(&self) -> &'static [Capability] {
        CAPABILITIES
    }
}

fn mark(text: &str) -> Result<CallEvent, Malformed> {
    let message: MarkMessage<'_> = serde_json::from_str(text).map_err(|_| Malformed::Field("mark"))?;
    let name = message.mark.and_then(|mark| mark.name).ok_or(Malformed::Missing("mark.name"))?;
    if name.as_str().len() > MARK_NAME_BYTES_MAX {
        return Err(Malformed::Field("mark.name"));
    }
    // The wire does not say whether the audio before the mark was heard or cleared.
    Ok(CallEvent::Mark { name: name.as_str().into(), outcome: MarkOutcome::Played })
}

fn stop(text: &str) -> Result<EndedStream, Malformed> {
    let message: StopMessage<'_> = serde_json::from_str(text).map_err(|_| Malformed::Field("stop"))?;
    let reason = message.stop.and_then(|stop| stop.reason);
    Ok(match text_of(&reason) {
        "stopped" => EndedStream::Handed,
        _ => EndedStream::CallEnded(Cause::new(Reason::CallerHungUp)),
    })
}

fn refused(text: &str) -> Result<CallEvent, Malformed> {
    let message: ErrorMessage<'_> = serde_json::from_str(text).map_err(|_| Malformed::Field("error"))?;
    let error = message.error.ok_or(Malformed::Missing("error"))?;
    let word = text_of(&error.code);
    let code = REFUSAL_CODES.iter().copied().find(|code| *code == word).unwrap_or("refused");
    Ok(CallEvent::Refused(CommandRefusal {
        code,
        message: RawMessage::new(text_of(&error.message)).as_str().to_owned(),
        command: RawMessage::new(text_of(&error.command)).as_str().into(),
    }))
}

fn custom(start: Start<'_>) -> Vec<(String, String)> {
    start.custom_parameters.unwrap_or_default().0
}

fn write_digits(to: &mut Vec<u8>, digits: &DialDigits) {
    to.extend_from_slice(br#"{"type":"session.dtmf","dtmf":""#);
    to.extend(digits.steps().iter().map(|step| step.map_or(b',', |digit| digit.as_char() as u8)));
    to.extend_from_slice(br#""}"#);
}

/// Writes a transfer by what it is, whatever its command is called elsewhere (seed 000 §7).
fn write_transfer(to: &mut Vec<u8>, transfer: &Transfer) {
    match &transfer.to {
        TransferTo::Phones(phones, order) => write_dial(to, phones, *order),
        TransferTo::Extension(extension) => {
            to.extend_from_slice(br#"{"type":"session.transfer_extension","extension":"#);
            write_string(to, extension);
        }
        TransferTo::Flow(flow) => {
            to.extend_from_slice(br#"{"type":"session.flow_transfer","flow_id":"#);
            write_string(to, flow);
        }
        TransferTo::Bot(url) => {
            to.extend_from_slice(br#"{"type":"session.transfer_ws","url":"#);
            write_string(to, url);
        }
        TransferTo::NamedBot(_) => return,
    }
    to.push(b'}');
}

fn write_dial(to: &mut Vec<u8>, phones: &[PhoneNumber], order: DialOrder) {
    to.extend_from_slice(br#"{"type":"session.transfer","destination":"#);
    write_phones(to, phones);
    if order == DialOrder::OneByOne && phones.len() != 1 {
        to.extend_from_slice(br#","strategy":"sequential""#);
    }
}

fn text_of<'a>(text: &'a Option<Text<'_>>) -> &'a str {
    text.as_ref().map_or("", Text::as_str)
}

/// How long the platform may take to answer a clear; one that comes later is the platform's own.
const CLEAR_ANSWER_MAX: Duration = Duration::from_secs(2);

/// The words of refusals that this gateway itself sends; another platform's word becomes `refused`.
const REFUSAL_CODES: [&str; 13] = [
    "not_supported",
    "not_allowed",
    "invalid_digits",
    "invalid_destination",
    "invalid_strategy",
    "invalid_url",
    "invalid_flow",
    "invalid_extension",
    "transfer_pending",
    "too_many_transfers",
    "not_answered",
    "not_reached",
    "unknown_bot",
];
