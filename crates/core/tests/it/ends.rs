//! Both ends of any dialect of the registry, and what passes between them.

use std::sync::Arc;
use std::time::Duration;

use patchcord_core::dialect::registry::{
    BotSideSettings, DialectRow, PhoneSideSettings, RecordWish, RefusalWish,
};
use patchcord_core::dialect::{BotSide, Dialect, Heard, Mapping, Out, PhoneSide, Wire};
use patchcord_core::vocabulary::{
    CallCommand, CallEvent, CallId, CallStart, Direction, Moment, PhoneNumber, StreamId, WallClock,
};

/// What one end says or hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Part<T> {
    /// An event or a command.
    Item(T),
    /// One frame.
    Audio(Vec<u8>),
}

/// A wire message that was sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Sent {
    /// Text.
    Text(String),
    /// Binary.
    Binary(Vec<u8>),
}

impl Sent {
    pub fn wire(&self) -> Wire<'_> {
        match self {
            Self::Text(text) => Wire::Text(text),
            Self::Binary(bytes) => Wire::Binary(bytes),
        }
    }
}

pub fn bot_side(row: &DialectRow) -> Box<BotSide> {
    let settings = BotSideSettings {
        audio: row.default_audio,
        record: RecordWish::Send,
        refusals: RefusalWish::Tell,
        mapping: mapping(),
        engine: None,
    };
    (row.bot_side)(&settings)
}

pub fn phone_side(row: &DialectRow) -> Box<PhoneSide> {
    (row.phone_side)(&PhoneSideSettings {
        audio: row.default_audio,
        seed: 1,
        clock: clock(),
        mapping: mapping(),
    })
}

/// Both ends of a call that has started and was answered.
pub fn talking(row: &DialectRow) -> (Box<BotSide>, Box<PhoneSide>) {
    let (mut bot_side, mut phone_side) = (bot_side(row), phone_side(row));
    // An engine that says nothing is given up; to other wires this is a message like any unknown one.
    let hello = Wire::Text(r#"{"type":"session.created"}"#);
    let _ = bot_side.decode(hello, Moment::START, &mut Out::new());
    let heard = carry(&mut *bot_side, &mut *phone_side, &[Part::Item(started(row))]);
    assert!(matches!(heard.as_slice(), [Part::Item(CallEvent::Started(_))]), "{}: {heard:?}", row.name);
    carry(&mut *phone_side, &mut *bot_side, &[Part::Item(CallCommand::Answer)]);
    (bot_side, phone_side)
}

pub fn started(row: &DialectRow) -> CallEvent {
    CallEvent::Started(Box::new(CallStart {
        call_id: CallId::from_wire("call_1707204900000_a1b2c3"),
        stream_id: StreamId::from_wire("1707204900.123"),
        other_leg_id: "leg_1".to_owned(),
        account: "patchcord".to_owned(),
        from: PhoneNumber::new("+919876543210"),
        to: PhoneNumber::new("+18001234567"),
        country: None,
        direction: Direction::Inbound,
        format: row.default_audio.format,
        custom: Vec::new(),
        raw: None,
        clock: clock(),
    }))
}

/// What one end writes when it says that.
pub fn sent<Say, Hear>(
    from: &mut dyn Dialect<Say = Say, Hear = Hear>,
    part: &Part<Say>,
    now: Moment,
) -> Vec<Sent> {
    let mut out = Out::new();
    match part {
        Part::Item(item) => from.encode(item, now, &mut out),
        Part::Audio(audio) => from.encode_audio(audio, now, &mut out),
    }
    assert!(out.heard().is_empty(), "saying is not hearing");
    out.messages()
        .map(|(_, wire)| match wire {
            Wire::Text(text) => Sent::Text(text.to_owned()),
            Wire::Binary(bytes) => Sent::Binary(bytes.to_vec()),
        })
        .collect()
}

/// Says everything at one end, fires its deadlines, and gives what the other end hears, neighbouring audio joined.
pub fn carry<Say: Clone, Hear>(
    from: &mut dyn Dialect<Say = Say, Hear = Hear>,
    to: &mut dyn Dialect<Say = Hear, Hear = Say>,
    said: &[Part<Say>],
) -> Vec<Part<Say>> {
    let mut heard: Vec<Part<Say>> = Vec::new();
    let mut now = Moment::START;
    for part in said {
        let mut messages = sent(from, part, now);
        while let Some(due) = from.poll_timeout() {
            let mut out = Out::new();
            now = now.max(due);
            from.handle_timeout(now, &mut out);
            let text = |wire| if let Wire::Text(text) = wire { text } else { "" }.to_owned();
            messages.extend(out.messages().map(|(_, wire)| Sent::Text(text(wire))));
        }
        for message in &messages {
            let mut ear = Out::new();
            assert_eq!(to.decode(message.wire(), now, &mut ear), Ok(()), "{message:?}");
            hear(&ear, &mut heard);
        }
        now = now + Duration::from_millis(20);
    }
    heard
}

fn hear<T: Clone>(ear: &Out<T>, heard: &mut Vec<Part<T>>) {
    for item in ear.heard() {
        match (item, heard.last_mut()) {
            (Heard::Audio(span), Some(Part::Audio(joined))) => joined.extend_from_slice(ear.audio(span)),
            (Heard::Audio(span), _) => heard.push(Part::Audio(ear.audio(span).to_vec())),
            (Heard::Item(item), _) => heard.push(Part::Item(item.clone())),
        }
    }
}

/// A mapping with every key; dialects but `custom` have none.
fn mapping() -> Option<Arc<Mapping>> {
    Some(Arc::new(Mapping::example()))
}

fn clock() -> WallClock {
    WallClock::new(1_707_204_900_000, Moment::START)
}
