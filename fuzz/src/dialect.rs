//! A dialect at both ends: any messages in any order are heard in small portions or refused, and what we write
//! is always JSON and never much.
//!
//! A line is one message of the other end, as text. A line that begins with `~` is a binary message (see
//! [`masked`]), `+NUMBER` lets milliseconds pass, `!x` lets us say something ([`phone_says`], [`bot_says`]). At
//! first the call starts, unless the input begins with `!`.

use std::time::Duration;

use patchcord_core::dialect::registry::{
    self, BotSideSettings, DialectRow, PhoneSideSettings, RecordWish, RefusalWish,
};
use patchcord_core::dialect::{BotSide, Dialect, Heard, Mapping, Out, PhoneSide, Wire};
use patchcord_core::vocabulary::{
    CallCommand, CallEvent, CallId, CallRecord, CallStart, Cause, CommandRefusal, Counters, DialDigits,
    Digit, DigitPress, Direction, EndedStream, HangUpWhen, HungUpBy, MarkOutcome, Moment, PhoneNumber,
    Quality, REASONS, StreamId, WallClock,
};

use super::steps::{lines, masked, number};

/// Plays the input as a bot to the end that faces a bot, and as a vendor to the other one.
pub fn exercise(dialect: &str, input: &[u8]) {
    let row = registry::find(dialect);
    assert!(row.is_some(), "there is no dialect {dialect}");
    let Some(row) = row else { return };
    let mapping = std::sync::Arc::new(Mapping::example());
    let settings = BotSideSettings {
        audio: row.default_audio,
        record: RecordWish::Send,
        refusals: RefusalWish::Tell,
        mapping: Some(mapping.clone()),
        engine: None,
    };
    let mut phone: End<'_, BotSide> = End::new((row.bot_side)(&settings), row);
    let settings =
        PhoneSideSettings { audio: row.default_audio, seed: 1, clock: CLOCK, mapping: Some(mapping) };
    let mut bot: End<'_, PhoneSide> = End::new((row.phone_side)(&settings), row);
    if !input.starts_with(b"!") {
        phone.say(&phone_says(b's', row));
    }
    for line in lines(input) {
        phone.step(line, phone_says, answer_of_phone);
        bot.step(line, bot_says, answer_of_bot);
    }
}

/// One end of the dialect, its clock and its reused buffers.
struct End<'a, D: Dialect + ?Sized> {
    side: Box<D>,
    row: &'a DialectRow,
    now: Moment,
    out: Out<D::Hear>,
    written: Vec<u8>,
}

/// What an end says.
enum Said<T> {
    Item(T),
    Audio(Vec<u8>),
}

impl<'a, D: Dialect + ?Sized> End<'a, D>
where
    D::Hear: Clone,
{
    fn new(side: Box<D>, row: &'a DialectRow) -> Self {
        Self { side, row, now: Moment::from_millis(5), out: Out::new(), written: Vec::new() }
    }

    fn step(
        &mut self,
        line: &[u8],
        says: fn(u8, &DialectRow) -> Said<D::Say>,
        answer: fn(&D::Hear) -> Option<D::Say>,
    ) {
        match line {
            [b'+', time @ ..] => self.pass(Duration::from_millis(number(time).min(100_000))),
            [b'!', what, ..] => self.say(&says(*what, self.row)),
            [b'!'] => {}
            [b'~', bytes @ ..] => self.hear(Wire::Binary(&masked(bytes)), answer),
            text => self.hear(Wire::Text(&String::from_utf8_lossy(text)), answer),
        }
    }

    /// Takes a message and says what a call would say to it.
    fn hear(&mut self, wire: Wire<'_>, answer: fn(&D::Hear) -> Option<D::Say>) {
        let length = match wire {
            Wire::Text(text) => text.len(),
            Wire::Binary(bytes) => bytes.len(),
        };
        self.out.clear();
        let done = self.side.decode(wire, self.now, &mut self.out);
        let heard = self.out.take_heard();
        assert!(heard.len() <= HEARD_MAX, "{} things heard of one message", heard.len());
        assert!(done.is_ok() || heard.is_empty(), "heard of a broken message: {done:?}");
        let audio: Vec<u8> = heard.iter().flat_map(|heard| self.audio_of(heard)).copied().collect();
        let packet = match self.row.name {
            "smartpbx" => OPUS_AUDIO_BYTES_MAX,
            ENGINE => HELD_AUDIO_BYTES_MAX,
            _ => 0,
        };
        assert!(
            audio.len() <= AUDIO_BYTES_PER_BYTE * length + packet,
            "{} bytes of audio of {length}",
            audio.len()
        );
        self.check_written();
        let answers: Vec<_> = heard
            .iter()
            .filter_map(|heard| if let Heard::Item(item) = heard { answer(item) } else { None })
            .collect();
        if !audio.is_empty() {
            let frame = self.side.format().bytes_in(self.row.default_audio.frame);
            self.say(&Said::Audio(audio.into_iter().take(frame).collect()));
        }
        for answer in answers {
            self.say(&Said::Item(answer));
        }
    }

    fn audio_of(&self, heard: &Heard<D::Hear>) -> &[u8] {
        if let Heard::Audio(span) = heard { self.out.audio(span) } else { &[] }
    }

    fn say(&mut self, said: &Said<D::Say>) {
        self.out.clear();
        match said {
            Said::Item(item) => self.side.encode(item, self.now, &mut self.out),
            Said::Audio(audio) => self.side.encode_audio(audio, self.now, &mut self.out),
        }
        assert!(self.out.heard().is_empty(), "saying is not hearing");
        self.check_written();
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        let mut served = 0;
        while let Some(due) = self.side.poll_timeout().filter(|due| *due <= end) {
            served = if due > self.now { 0 } else { served + 1 };
            assert!(served < 10, "a deadline that serving does not move");
            self.now = self.now.max(due);
            self.out.clear();
            self.side.handle_timeout(self.now, &mut self.out);
            self.check_written();
        }
        self.now = end;
    }

    /// Text is JSON, and there is not too much of anything.
    fn check_written(&mut self) {
        self.written.clear();
        for (_, wire) in self.out.messages() {
            match wire {
                Wire::Text(text) => {
                    let json = serde_json::from_str::<serde::de::IgnoredAny>(text);
                    assert!(json.is_ok(), "we wrote {text}, which is {json:?}");
                    self.written.extend_from_slice(text.as_bytes());
                }
                Wire::Binary(bytes) => self.written.extend_from_slice(bytes),
            }
        }
        let held = if self.row.name == ENGINE { HELD_WRITTEN_BYTES_MAX } else { 0 };
        assert!(
            self.written.len() <= WRITTEN_BYTES_MAX + held,
            "{} bytes written at once",
            self.written.len()
        );
    }
}

/// What a call says of itself to a command of the bot.
fn answer_of_phone(command: &CallCommand) -> Option<CallEvent> {
    let refused = |code, command: &str| {
        let message = "not \"here\"\\\u{1}".to_owned();
        Some(CallEvent::Refused(CommandRefusal { code, message, command: command.into() }))
    };
    match command {
        CallCommand::Mark { name } => {
            Some(CallEvent::Mark { name: name.clone(), outcome: MarkOutcome::Played })
        }
        CallCommand::Clear => Some(CallEvent::Cleared),
        CallCommand::Invalid(refusal) => Some(CallEvent::Refused(refusal.clone())),
        CallCommand::Transfer(transfer) => refused("not_supported", transfer.command),
        CallCommand::Digits(dial) => {
            assert!((1..=64).contains(&dial.steps().len()), "{} keys at once", dial.steps().len());
            None
        }
        CallCommand::Answer
        | CallCommand::HangUp(_)
        | CallCommand::Flow(_)
        | CallCommand::Speech(_)
        | CallCommand::Unknown(_) => None,
    }
}

/// What a call asks of a vendor that tells it something.
fn answer_of_bot(event: &CallEvent) -> Option<CallCommand> {
    match event {
        CallEvent::Started(_) => Some(CallCommand::Answer),
        CallEvent::Digit(press) => {
            let tone = press.duration.unwrap_or(Duration::from_millis(100));
            Some(CallCommand::Digits(DialDigits::one(press.digit, tone)))
        }
        CallEvent::Mark { name, .. } => Some(CallCommand::Mark { name: name.clone() }),
        CallEvent::Refused(_) => Some(CallCommand::Clear),
        CallEvent::Ended(_) => Some(CallCommand::HangUp(HangUpWhen::Now)),
        CallEvent::Cleared
        | CallEvent::Record(_)
        | CallEvent::Flow(_)
        | CallEvent::Speech(_)
        | CallEvent::Unknown(_) => None,
    }
}

/// What a call may tell a bot unasked; anything unknown is a frame of audio.
fn phone_says(what: u8, row: &DialectRow) -> Said<CallEvent> {
    Said::Item(match what {
        b's' => CallEvent::Started(Box::new(start(row))),
        b'd' => CallEvent::Digit(DigitPress { digit: Digit::ALL[5], duration: None }),
        b'm' => CallEvent::Mark { name: "m\"\\\u{1}é".into(), outcome: MarkOutcome::Cleared },
        b'c' => CallEvent::Cleared,
        b'h' => CallEvent::Ended(EndedStream::Handed),
        b'e' => CallEvent::Ended(EndedStream::CallEnded(Cause::new(REASONS[0].reason))),
        b'r' => CallEvent::Record(Box::new(record(row))),
        _ => return Said::Audio(vec![0x55; row.default_audio.format.bytes_in(row.default_audio.frame)]),
    })
}

/// What a bot may ask of a vendor unasked; anything unknown is a frame of audio.
fn bot_says(what: u8, row: &DialectRow) -> Said<CallCommand> {
    Said::Item(match what {
        b's' => CallCommand::Answer,
        b'd' => CallCommand::Digits(DialDigits::one(Digit::ALL[11], Duration::from_millis(250))),
        b'm' => CallCommand::Mark { name: "m\"\\\u{1}é".into() },
        b'c' => CallCommand::Clear,
        b'h' => CallCommand::HangUp(HangUpWhen::AfterPlayout),
        b'e' => CallCommand::HangUp(HangUpWhen::Now),
        _ => return Said::Audio(vec![0x55; row.default_audio.format.bytes_in(row.default_audio.frame)]),
    })
}

fn start(row: &DialectRow) -> CallStart {
    CallStart {
        call_id: CallId::from_wire("call_1707204900000_a1b2c3"),
        stream_id: StreamId::from_wire("1707204900.123"),
        other_leg_id: "leg_1".to_owned(),
        account: "patchcord".to_owned(),
        from: PhoneNumber::new("+919876543210"),
        to: PhoneNumber::new("+18001234567"),
        country: None,
        direction: Direction::Inbound,
        format: row.default_audio.format,
        custom: vec![("plan".to_owned(), "gold \"1\"".to_owned())],
        raw: None,
        clock: CLOCK,
    }
}

fn record(row: &DialectRow) -> CallRecord {
    let start = start(row);
    CallRecord {
        call_id: start.call_id,
        stream_id: start.stream_id,
        phone_leg_id: start.other_leg_id.into(),
        from: start.from,
        to: start.to,
        direction: start.direction,
        bot: "bot".into(),
        phone_dialect: "sip".into(),
        bot_dialect: row.name.into(),
        clock: CLOCK,
        started_at: Moment::START,
        answered_at: Some(Moment::from_millis(100)),
        earlier_bots: Vec::new(),
        bot_failed_at: None,
        ended_at: Moment::from_millis(900),
        cause: Cause::new(REASONS[0].reason),
        hung_up_by: HungUpBy::Caller,
        far_end: None,
        counters: Counters::default(),
        quality: Quality::default(),
        transfers: Vec::new(),
    }
}

const CLOCK: WallClock = WallClock::new(1_707_204_900_000, Moment::START);
/// What may be heard of one message.
const HEARD_MAX: usize = 3;
/// A sample of two bytes in a JSON array takes two characters.
const AUDIO_BYTES_PER_BYTE: usize = 2;
/// What one packet of Opus plays at the most: 120 ms at 48 kHz.
const OPUS_AUDIO_BYTES_MAX: usize = 11_520;
/// A session that begins hears at once what was said before.
const ENGINE: &str = "openai-realtime";
/// Two seconds at 24 kHz.
const HELD_AUDIO_BYTES_MAX: usize = 96_000;
/// Four seconds at 24 kHz, in base64, and a session that is told again.
const HELD_WRITTEN_BYTES_MAX: usize = 260_000;
/// What may be written at once; names and ids of the other end are bounded.
const WRITTEN_BYTES_MAX: usize = 16_384;
