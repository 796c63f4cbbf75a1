//! The items of the conversation that a client may ask for again, in the words of its naming.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::events::Events;
use crate::dialect::json::{write_escaped, write_string};
use crate::dialect::openai_realtime::settings::Naming;

/// The name of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ItemId {
    /// Ours, by number.
    Ours(u64),
    /// As the client, or the bot behind us, named it.
    Theirs(Box<str>),
}

/// One item.
#[derive(Debug)]
pub struct Item {
    pub id: ItemId,
    pub body: Body,
}

/// What an item is.
#[derive(Debug)]
pub enum Body {
    /// What the caller said.
    Caller,
    /// What the bot said: milliseconds of audio, and its words.
    Bot { audio_ms: u64, transcript: Box<str> },
    /// What the client wrote: its own members, ready to stand behind others.
    Written(Box<str>),
}

/// The items, oldest first; beyond [`ITEMS_MAX`] the oldest is forgotten.
#[derive(Debug)]
pub struct Items {
    known: VecDeque<Item>,
}

impl Items {
    pub fn new() -> Self {
        // Taken at once: an item may come with any frame.
        Self { known: VecDeque::with_capacity(ITEMS_MAX) }
    }

    pub fn add(&mut self, id: ItemId, body: Body) {
        if self.known.len() >= ITEMS_MAX {
            self.known.pop_front();
        }
        self.known.push_back(Item { id, body });
    }

    /// The item that the client names so.
    pub fn find(&self, name: &str, events: &Events) -> Option<&Item> {
        self.known.iter().find(|item| item.id.is(name, events))
    }

    /// The name of the newest one.
    pub fn last(&self) -> Option<&ItemId> {
        self.known.back().map(|item| &item.id)
    }

    /// Forgets the item; `false` if there is none of this name.
    pub fn remove(&mut self, name: &str, events: &Events) -> bool {
        let before = self.known.len();
        self.known.retain(|item| !item.id.is(name, events));
        before != self.known.len()
    }
}

impl ItemId {
    /// Whether a client means it by that name.
    pub fn is(&self, name: &str, events: &Events) -> bool {
        match self {
            Self::Theirs(id) => **id == *name,
            Self::Ours(_) => {
                let mut own = Vec::new();
                self.write(&mut own, events);
                own == name.as_bytes()
            }
        }
    }

    /// Writes the name without quotes.
    pub fn write(&self, to: &mut Vec<u8>, events: &Events) {
        match self {
            Self::Ours(number) => events.write_id(to, "item_", *number),
            Self::Theirs(id) => write_escaped(to, id),
        }
    }
}

impl Item {
    /// Writes the item as it stands in events.
    pub fn write(&self, to: &mut Vec<u8>, events: &Events, naming: Naming) {
        write_head(to, &self.id, "completed", events);
        match &self.body {
            Body::Caller => to.extend_from_slice(
                br#","type":"message","role":"user","content":[{"type":"input_audio","transcript":null}]"#,
            ),
            Body::Bot { transcript, audio_ms: _ } => {
                to.extend_from_slice(br#","type":"message","role":"assistant","content":[{"type":"#);
                write_string(to, content_word(naming));
                to.extend_from_slice(br#","transcript":"#);
                write_string(to, transcript);
                to.extend_from_slice(b"}]");
            }
            Body::Written(members) => to.extend_from_slice(members.as_bytes()),
        }
        to.push(b'}');
    }
}

/// Writes what every item begins with; the object stays open.
pub fn write_head(to: &mut Vec<u8>, id: &ItemId, status: &str, events: &Events) {
    to.extend_from_slice(br#"{"id":""#);
    id.write(to, events);
    to.extend_from_slice(br#"","object":"realtime.item","status":"#);
    write_string(to, status);
}

/// What the bot's audio is called in the content of an item.
pub fn content_word(naming: Naming) -> &'static str {
    match naming {
        Naming::Ga => "output_audio",
        Naming::Beta => "audio",
    }
}

/// The members of an item that the client wrote, ready to stand behind others; of one that is too long only what it is.
pub fn members(mut item: Map<String, Value>) -> Box<str> {
    for ours in ["id", "object", "status"] {
        item.remove(ours);
    }
    let mut written = serde_json::to_string(&item).unwrap_or_default();
    if written.len() > ITEM_BYTES_MAX && item.contains_key("content") {
        item.insert("content".to_owned(), Value::Array(Vec::new()));
        written = serde_json::to_string(&item).unwrap_or_default();
    }
    match written.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(inner) if !inner.is_empty() && written.len() <= ITEM_BYTES_MAX => format!(",{inner}").into(),
        _ => r#","type":"message","role":"system","content":[]"#.into(),
    }
}

/// Items that can be asked for again.
pub const ITEMS_MAX: usize = 128;

/// Bytes of an item that the client wrote; a longer one is kept without its content.
pub const ITEM_BYTES_MAX: usize = 4_096;
