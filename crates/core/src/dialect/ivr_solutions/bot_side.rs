//! The end of `ivr-solutions` that holds the phone and faces a bot: says §5's events, hears §6's and §7's commands.

use std::time::Duration;

use super::commands;
use super::wire::MarkMessage;
use super::{CAPABILITIES, MARK_NAME_BYTES_MAX, encoding_word, field};
use crate::dialect::envelope::{hear_binary, hear_payload};
use crate::dialect::json::{Text, write_base64, write_string, write_u64};
use crate::dialect::registry::{BotSideSettings, RefusalWish};
use crate::dialect::{Capability, Dialect, Malformed, Out, Wire, WireClass};
use crate::media::MediaFormat;
use crate::vocabulary::{
    CallCommand, CallEvent, CallStart, CommandRefusal, DigitPress, EndedStream, HangUpWhen, Moment,
    RawMessage,
};

/// Translates one call for its bot.
#[derive(Debug)]
pub struct IvrBotSide {
    format: MediaFormat,
    refusals: RefusalWish,
    stream: Stream,
    /// The number of the next event; `start` is 1 (seed 000 §5.2).
    sequence_number: u64,
    /// The number of the next chunk.
    chunk: u64,
    /// Caller audio written so far, which gives a chunk its time.
    audio_bytes: u64,
}

/// Whether events may be written, and under which ids.
#[derive(Debug)]
enum Stream {
    /// No start was said: nothing else can be.
    Waiting,
    /// Events go out.
    Open(Ids),
    /// The stop went out: nothing follows.
    Stopped,
}

/// The ids of a stream as ready-made JSON strings.
#[derive(Debug)]
struct Ids {
    stream_sid: Vec<u8>,
    call_sid: Vec<u8>,
    account_sid: Vec<u8>,
}

impl IvrBotSide {
    /// An end that waits for its start.
    pub fn new(settings: &BotSideSettings) -> Self {
        Self {
            format: settings.audio.format,
            refusals: settings.refusals,
            stream: Stream::Waiting,
            sequence_number: 1,
            chunk: 1,
            audio_bytes: 0,
        }
    }

    fn start(&mut self, start: &CallStart, out: &mut Out<CallCommand>) {
        if !matches!(self.stream, Stream::Waiting) {
            return;
        }
        let ids = Ids::of(start);
        out.text(WireClass::Control, |to| to.extend_from_slice(br#"{"event":"connected"}"#));
        let (number, format) = (self.next_number(), self.format);
        out.text(WireClass::Control, |to| {
            event_head(to, "start", number, &ids.stream_sid);
            field(to, r#","start":{"stream_sid":"#, &ids.stream_sid);
            field(to, r#","call_sid":"#, &ids.call_sid);
            field(to, r#","account_sid":"#, &ids.account_sid);
            to.extend_from_slice(br#","from":"#);
            write_string(to, start.from.as_str());
            to.extend_from_slice(br#","to":"#);
            write_string(to, start.to.as_str());
            for (at, (name, value)) in start.custom.iter().enumerate() {
                to.extend_from_slice(if at == 0 { br#","custom_parameters":{"# } else { b"," });
                write_string(to, name);
                to.push(b':');
                write_string(to, value);
            }
            if !start.custom.is_empty() {
                to.push(b'}');
            }
            to.extend_from_slice(br#","media_format":{"encoding":"#);
            write_string(to, encoding_word(format));
            to.extend_from_slice(br#","sample_rate":"#);
            write_u64(to, u64::from(format.sample_rate));
            to.extend_from_slice(b"}}}");
        });
        self.stream = Stream::Open(ids);
    }

    fn digit(&mut self, press: DigitPress, out: &mut Out<CallCommand>) {
        self.event("dtmf", out, |to, _| {
            to.extend_from_slice(br#","dtmf":{"digit":""#);
            to.push(press.digit.as_char() as u8);
            // The seed's example always has the field, so an unknown length is written as the usual one.
            let duration = press.duration.filter(|duration| duration.as_millis() > 0).unwrap_or(DTMF_TONE);
            let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            to.extend_from_slice(br#"","duration":""#);
            write_u64(to, duration_ms);
            to.extend_from_slice(br#""}}"#);
        });
    }

    fn mark(&mut self, name: &str, out: &mut Out<CallCommand>) {
        self.event("mark", out, |to, _| {
            to.extend_from_slice(br#","mark":{"name":"#);
            write_string(to, name);
            to.extend_from_slice(b"}}");
        });
    }

    fn cleared(&self, out: &mut Out<CallCommand>) {
        let Stream::Open(ids) = &self.stream else { return };
        out.text(WireClass::Control, |to| {
            field(to, r#"{"event":"clear","stream_sid":"#, &ids.stream_sid);
            to.push(b'}');
        });
    }

    fn refused(&self, refusal: &CommandRefusal, out: &mut Out<CallCommand>) {
        let (Stream::Open(ids), RefusalWish::Tell) = (&self.stream, self.refusals) else { return };
        out.text(WireClass::Control, |to| {
            field(to, r#"{"event":"error","stream_sid":"#, &ids.stream_sid);
            to.extend_from_slice(br#","error":{"code":"#);
            write_string(to, refusal.code);
            to.extend_from_slice(br#","message":"#);
            write_string(to, &refusal.message);
            to.extend_from_slice(br#","command":"#);
            write_string(to, &refusal.command);
            to.extend_from_slice(b"}}");
        });
    }

    fn stop(&mut self, ended: EndedStream, out: &mut Out<CallCommand>) {
        let reason = match ended {
            EndedStream::CallEnded(_) => "callended",
            EndedStream::Handed => "stopped",
        };
        self.event("stop", out, |to, ids| {
            field(to, r#","stop":{"call_sid":"#, &ids.call_sid);
            field(to, r#","account_sid":"#, &ids.account_sid);
            to.extend_from_slice(br#","reason":"#);
            write_string(to, reason);
            to.extend_from_slice(b"}}");
        });
        self.stream = Stream::Stopped;
    }

    /// Writes a numbered control event, if the stream is open; `body` closes the object.
    fn event(&mut self, name: &str, out: &mut Out<CallCommand>, body: impl FnOnce(&mut Vec<u8>, &Ids)) {
        if let Stream::Open(ids) = &self.stream {
            out.text(WireClass::Control, |to| {
                event_head(to, name, self.sequence_number, &ids.stream_sid);
                body(to, ids);
            });
            self.sequence_number += 1;
        }
    }

    fn next_number(&mut self) -> u64 {
        let number = self.sequence_number;
        self.sequence_number += 1;
        number
    }

    /// Milliseconds of caller audio written so far.
    fn audio_ms(&self) -> u64 {
        let samples = self.audio_bytes / self.format.bytes_per_sample() as u64;
        u64::try_from(self.format.duration_of_samples(samples).as_millis()).unwrap_or(u64::MAX)
    }
}

impl Dialect for IvrBotSide {
    type Say = CallEvent;
    type Hear = CallCommand;

    fn format(&self) -> MediaFormat {
        self.format
    }

    fn encode(&mut self, say: &CallEvent, _now: Moment, out: &mut Out<CallCommand>) {
        match say {
            CallEvent::Started(start) => self.start(start, out),
            CallEvent::Digit(press) => self.digit(*press, out),
            CallEvent::Mark { name, outcome: _ } => self.mark(name, out),
            CallEvent::Cleared => self.cleared(out),
            CallEvent::Refused(refusal) => self.refused(refusal, out),
            CallEvent::Ended(ended) => self.stop(*ended, out),
            CallEvent::Record(_) | CallEvent::Flow(_) | CallEvent::Speech(_) | CallEvent::Unknown(_) => {}
        }
    }

    fn encode_audio(&mut self, audio: &[u8], _now: Moment, out: &mut Out<CallCommand>) {
        let Stream::Open(ids) = &self.stream else { return };
        out.text(WireClass::Audio, |to| {
            event_head(to, "media", self.sequence_number, &ids.stream_sid);
            to.extend_from_slice(br#","media":{"chunk":"#);
            write_u64(to, self.chunk);
            to.extend_from_slice(br#","timestamp":""#);
            write_u64(to, self.audio_ms());
            to.extend_from_slice(br#"","payload":""#);
            write_base64(to, audio);
            to.extend_from_slice(br#""}}"#);
        });
        self.sequence_number += 1;
        self.chunk += 1;
        self.audio_bytes += audio.len() as u64;
    }

    fn decode(&mut self, wire: Wire<'_>, _now: Moment, out: &mut Out<CallCommand>) -> Result<(), Malformed> {
        let text = match wire {
            Wire::Text(text) => text,
            Wire::Binary(audio) => return hear_binary(audio, out),
        };
        let [event, kind, payload, delta] = super::message(text)?;
        if event.is_text("media") {
            return hear_payload(payload, "media.payload", out);
        }
        if kind.is_text("response.audio.delta") {
            return hear_payload(delta, "delta", out);
        }
        hear_command(text, &super::name(event, kind)?, out)
    }

    fn capabilities(&self) -> &'static [Capability] {
        CAPABILITIES
    }
}

impl Ids {
    fn of(start: &CallStart) -> Self {
        let json = |text: &str| {
            let mut to = Vec::with_capacity(text.len() + 2);
            write_string(&mut to, text);
            to
        };
        Self {
            stream_sid: json(start.stream_id.as_str()),
            call_sid: json(start.call_id.as_str()),
            account_sid: json(&start.account),
        }
    }
}

/// Hears a message that is not audio.
fn hear_command(
    text: &str,
    [event, kind]: &[Option<Text<'_>>; 2],
    out: &mut Out<CallCommand>,
) -> Result<(), Malformed> {
    let command = match (name_of(event), name_of(kind)) {
        ("mark", _) => mark(text)?,
        ("clear", _) | (_, "audio.clear") => CallCommand::Clear,
        (_, "session.hangup") => CallCommand::HangUp(HangUpWhen::AfterPlayout),
        (_, kind) => commands::command(kind, text, DTMF_TONE)
            .unwrap_or_else(|| CallCommand::Unknown(RawMessage::new(text))),
    };
    out.hear(command);
    Ok(())
}

fn mark(text: &str) -> Result<CallCommand, Malformed> {
    let message: MarkMessage<'_> = serde_json::from_str(text).map_err(|_| Malformed::Field("mark"))?;
    let name = message.mark.and_then(|mark| mark.name).ok_or(Malformed::Missing("mark.name"))?;
    if name.as_str().len() > MARK_NAME_BYTES_MAX {
        return Err(Malformed::Field("mark.name"));
    }
    Ok(CallCommand::Mark { name: name.as_str().into() })
}

/// Writes the beginning of a numbered event, up to and with its stream.
fn event_head(to: &mut Vec<u8>, name: &str, number: u64, stream_sid: &[u8]) {
    to.extend_from_slice(br#"{"event":""#);
    to.extend_from_slice(name.as_bytes());
    to.extend_from_slice(br#"","sequence_number":"#);
    write_u64(to, number);
    field(to, r#","stream_sid":"#, stream_sid);
}

fn name_of<'a>(name: &'a Option<Text<'_>>) -> &'a str {
    name.as_ref().map_or("", Text::as_str)
}

/// How long each digit of `session.dtmf` sounds, and a key of unknown length was held.
const DTMF_TONE: Duration = Duration::from_millis(100);
