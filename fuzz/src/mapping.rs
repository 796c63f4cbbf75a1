//! A mapping of the dialect `custom`: any keys are taken or refused at a place in their text, and whatever is taken
//! writes bounded JSON and hears any message.
//!
//! A line is `KEY TEXT`, a key of a mapping and its text; `outputKEY {…}` is a table. A line that begins with `{` is a
//! message that both ends hear.

use std::sync::Arc;

use patchcord_core::dialect::registry::{self, BotSideSettings, PhoneSideSettings, RecordWish, RefusalWish};
use patchcord_core::dialect::{Mapping, Out, Wire};
use patchcord_core::vocabulary::{
    CallEvent, CallId, CallStart, Direction, Moment, PhoneNumber, StreamId, WallClock,
};
use serde_json::{Map, Value};

use super::steps::lines;

/// Reads the input as a mapping, plays a call through both of its ends, and has both hear the messages.
pub fn exercise(input: &[u8]) {
    let (messages, texts): (Vec<&[u8]>, Vec<&[u8]>) = lines(input).partition(|line| line.starts_with(b"{"));
    let mut keys = Map::new();
    for line in texts {
        let line = String::from_utf8_lossy(line);
        let (key, text) = line.split_once(' ').unwrap_or((&line, ""));
        let table =
            serde_json::from_str::<Map<String, Value>>(text).ok().filter(|_| key.starts_with("output"));
        keys.insert(key.to_owned(), table.map_or_else(|| text.into(), Value::Object));
    }
    match Mapping::from_json(&keys) {
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                assert!(problem.line >= 1 && problem.column >= 1, "{problem}");
                assert!(!problem.what.is_empty() && !problem.cure.is_empty(), "{problem}");
            }
        }
        Ok(mapping) => play(&Arc::new(mapping), &messages),
    }
}

fn play(mapping: &Arc<Mapping>, messages: &[&[u8]]) {
    let Some(row) = registry::find("custom") else { return };
    let (audio, mapping) = (row.default_audio, Some(mapping.clone()));
    let settings = PhoneSideSettings { audio, seed: 1, clock: CLOCK, mapping: mapping.clone() };
    let mut phone = (row.phone_side)(&settings);
    let (record, refusals) = (RecordWish::Send, RefusalWish::Tell);
    let mut bot = (row.bot_side)(&BotSideSettings { audio, record, refusals, mapping, engine: None });
    let (mut said, mut ear) = (Out::new(), Out::new());
    bot.encode(&CallEvent::Started(Box::new(start())), Moment::START, &mut said);
    bot.encode_audio(&[0x5a; 320], Moment::START, &mut said);
    for (_, wire) in said.messages() {
        if let Wire::Text(text) = wire {
            let object = serde_json::from_str::<Map<String, Value>>(text);
            assert!(object.is_ok() && text.len() <= 65_536, "{} bytes: {object:?}", text.len());
        }
        ear.clear();
        let done = phone.decode(wire, Moment::START, &mut ear);
        assert!(ear.heard().is_empty() || done.is_ok(), "heard of a broken message: {done:?}");
    }
    for message in messages {
        let text = String::from_utf8_lossy(message);
        said.clear();
        ear.clear();
        let _ = bot.decode(Wire::Text(&text), Moment::START, &mut said);
        let _ = phone.decode(Wire::Text(&text), Moment::START, &mut ear);
        assert!(said.heard().len() <= 1 && ear.heard().len() <= 2, "too much heard of one message");
    }
}

/// A call whose number tries to leave its string.
fn start() -> CallStart {
    CallStart {
        call_id: CallId::from_wire("call_1707204900000_a1b2c3"),
        stream_id: StreamId::from_wire("1707204900.123"),
        other_leg_id: "leg_1".to_owned(),
        account: "patchcord".to_owned(),
        from: PhoneNumber::new("\",\"x\":{{did}}\\"),
        to: PhoneNumber::new("18001234567"),
        country: None,
        direction: Direction::Inbound,
        format: patchcord_core::media::MediaFormat::linear16(8_000),
        custom: Vec::new(),
        raw: None,
        clock: CLOCK,
    }
}

const CLOCK: WallClock = WallClock::new(1_707_204_900_000, Moment::START);
