//! The bot's commands with an argument (seed 000 §6.3 and §7): read into the vocabulary, or refused with a reason.
//!
//! A command that misses its argument is malformed; one whose argument cannot be is refused and the bot is told.

use std::time::Duration;

use super::wire::CommandMessage;
use crate::dialect::Malformed;
use crate::vocabulary::{
    CallCommand, CommandRefusal, DialDigits, DialOrder, PhoneNumber, Transfer, TransferTo,
};

/// Reads `session.dtmf`; one bad character refuses the whole.
pub fn digits(text: &str, tone: Duration) -> Result<CallCommand, Malformed> {
    let dtmf = read(text, "dtmf")?.dtmf.ok_or(Malformed::Missing("dtmf"))?;
    Ok(match DialDigits::parse(dtmf.as_str(), tone) {
        Ok(digits) => CallCommand::Digits(digits),
        Err(message) => refuse("session.dtmf", "invalid_digits", message),
    })
}

/// Reads `session.transfer` to one phone or several.
pub fn transfer(text: &str) -> Result<CallCommand, Malformed> {
    const COMMAND: &str = "session.transfer";
    let message = read(text, "destination")?;
    let destinations = message.destination.ok_or(Malformed::Missing("destination"))?.0;
    let order = match message.strategy.as_ref().map(|strategy| strategy.as_str()) {
        None | Some("simultaneous") => DialOrder::AllAtOnce,
        Some("sequential") => DialOrder::OneByOne,
        Some(_) => {
            let sentence = "strategy: expected sequential or simultaneous".to_owned();
            return Ok(refuse(COMMAND, "invalid_strategy", sentence));
        }
    };
    if destinations.is_empty() || destinations.len() > DESTINATIONS_MAX {
        let sentence = format!("destination: expected 1 to {DESTINATIONS_MAX} telephone numbers");
        return Ok(refuse(COMMAND, "invalid_destination", sentence));
    }
    let mut phones = Vec::with_capacity(destinations.len());
    for (at, destination) in destinations.iter().enumerate() {
        let Some(number) = dialable(destination.as_str()) else {
            let sentence = format!("destination {}: not a telephone number", at + 1);
            return Ok(refuse(COMMAND, "invalid_destination", sentence));
        };
        phones.push(PhoneNumber::new(&number));
    }
    Ok(to(TransferTo::Phones(phones, order), COMMAND))
}

/// Reads `session.transfer_ws`; the address is checked for its scheme only, the shell guards the rest.
pub fn transfer_ws(text: &str) -> Result<CallCommand, Malformed> {
    const COMMAND: &str = "session.transfer_ws";
    let url = read(text, "url")?.url.ok_or(Malformed::Missing("url"))?;
    let rest = url.as_str().strip_prefix("wss://").or_else(|| url.as_str().strip_prefix("ws://"));
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    if url.as_str().len() > URL_BYTES_MAX
        || !rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(plain))
    {
        return Ok(refuse(COMMAND, "invalid_url", "url: expected wss://… or ws://…".to_owned()));
    }
    Ok(to(TransferTo::Bot(url.as_str().into()), COMMAND))
}

/// Reads `session.flow_transfer`.
pub fn flow_transfer(text: &str) -> Result<CallCommand, Malformed> {
    const COMMAND: &str = "session.flow_transfer";
    let flow = read(text, "flow_id")?.flow_id.ok_or(Malformed::Missing("flow_id"))?;
    if !is_name(flow.as_str()) {
        return Ok(refuse(COMMAND, "invalid_flow", format!("flow_id: expected 1 to {NAME_BYTES_MAX} bytes")));
    }
    Ok(to(TransferTo::Flow(flow.as_str().into()), COMMAND))
}

/// Reads `session.transfer_extension`.
pub fn transfer_extension(text: &str) -> Result<CallCommand, Malformed> {
    const COMMAND: &str = "session.transfer_extension";
    let extension = read(text, "extension")?.extension.ok_or(Malformed::Missing("extension"))?;
    if !is_name(extension.as_str()) {
        let sentence = format!("extension: expected 1 to {NAME_BYTES_MAX} bytes");
        return Ok(refuse(COMMAND, "invalid_extension", sentence));
    }
    Ok(to(TransferTo::Extension(extension.as_str().into()), COMMAND))
}

/// Reads the message; `argument` is blamed for a wrong type.
fn read<'a>(text: &'a str, argument: &'static str) -> Result<CommandMessage<'a>, Malformed> {
    serde_json::from_str(text).map_err(|_| Malformed::Field(argument))
}

fn to(to: TransferTo, command: &'static str) -> CallCommand {
    CallCommand::Transfer(Transfer { to, command })
}

fn refuse(command: &str, code: &'static str, message: String) -> CallCommand {
    CallCommand::Invalid(CommandRefusal { code, message, command: command.into() })
}

/// The number without what people write between its digits; `None` if it is no number.
fn dialable(text: &str) -> Option<String> {
    let number: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')')).collect();
    let keys = number.strip_prefix('+').unwrap_or(&number);
    let fits = (1..=NUMBER_KEYS_MAX).contains(&keys.len());
    let numeric = keys.bytes().all(|key| key.is_ascii_digit() || matches!(key, b'*' | b'#'));
    (fits && numeric).then_some(number)
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Phones in one transfer.
const DESTINATIONS_MAX: usize = 16;

/// Keys of a number to dial; E.164 has 15 digits, prefixes and codes before them come on top.
const NUMBER_KEYS_MAX: usize = 32;

/// Bytes of a flow's or extension's name.
const NAME_BYTES_MAX: usize = 128;

/// Bytes of a bot's address.
const URL_BYTES_MAX: usize = 2_048;
