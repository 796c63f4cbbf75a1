//! How the engine's end begins its messages: every event has an id of its own, every error says whose fault it was.

use crate::dialect::json::{write_escaped, write_string, write_u64};
use crate::dialect::{Out, WireClass};
use crate::vocabulary::CallEvent;

/// Ids of one session, and the events that carry them.
#[derive(Debug)]
pub struct Events {
    seed: u64,
    next_event: u64,
    next_id: u64,
}

/// Why a message of the client was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The code, in the words of the service.
    pub code: &'static str,
    /// A sentence that repeats nothing but names of fields.
    pub message: String,
    /// The field.
    pub param: Option<String>,
}

impl Fault {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), param: None }
    }

    /// A field that must be there.
    pub fn missing(param: &str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self { code: "missing_required_parameter", message, param: Some(param.to_owned()) }
    }

    /// A field with a wrong type or an impossible value; `possible` says what there is.
    pub fn invalid(param: &str, possible: &str) -> Self {
        let message = format!("Invalid value for '{param}': {possible}.");
        Self { code: "invalid_value", message, param: Some(param.to_owned()) }
    }

    /// A field that this naming does not have.
    pub fn unknown(param: &str) -> Self {
        let message = format!("Unknown parameter: '{param}'.");
        Self { code: "unknown_parameter", message, param: Some(param.to_owned()) }
    }
}

impl Events {
    pub fn new(seed: u64) -> Self {
        Self { seed, next_event: 1, next_id: 1 }
    }

    /// The number of a new item or response.
    pub fn draw(&mut self) -> u64 {
        let number = self.next_id;
        self.next_id += 1;
        number
    }

    /// Writes an id without quotes; `prefix` says of what.
    pub fn write_id(&self, to: &mut Vec<u8>, prefix: &str, number: u64) {
        to.extend_from_slice(prefix.as_bytes());
        for shift in (0..u64::BITS / 4).rev() {
            to.push(HEX[(self.seed >> (shift * 4) & 15) as usize]);
        }
        to.push(b'_');
        write_u64(to, number);
    }

    /// Writes one event; `body` begins with a comma and does not close the object.
    pub fn write(
        &mut self,
        class: WireClass,
        kind: &str,
        out: &mut Out<CallEvent>,
        body: impl FnOnce(&Self, &mut Vec<u8>),
    ) {
        let number = self.next_event;
        self.next_event += 1;
        out.text(class, |to| {
            to.extend_from_slice(br#"{"type":""#);
            write_escaped(to, kind);
            to.extend_from_slice(br#"","event_id":""#);
            self.write_id(to, "event_", number);
            to.push(b'"');
            body(self, to);
            to.push(b'}');
        });
    }

    /// Tells the client that its message `event_id` was refused.
    pub fn refuse(&mut self, fault: &Fault, event_id: Option<&str>, out: &mut Out<CallEvent>) {
        self.write(WireClass::Control, "error", out, |_, to| {
            to.extend_from_slice(br#","error":{"type":"invalid_request_error","code":"#);
            write_string(to, fault.code);
            to.extend_from_slice(br#","message":"#);
            write_string(to, &fault.message);
            for (name, value) in [(r#","param":"#, fault.param.as_deref()), (r#","event_id":"#, event_id)] {
                to.extend_from_slice(name.as_bytes());
                match value {
                    Some(value) => write_string(to, value),
                    None => to.extend_from_slice(b"null"),
                }
            }
            to.push(b'}');
        });
    }
}

const HEX: [u8; 16] = *b"0123456789abcdef";
