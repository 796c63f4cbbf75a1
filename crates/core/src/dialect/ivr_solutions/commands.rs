//! The bot's commands with an argument (seed 000 §6.3 and §7): read into the vocabulary, or refused with a reason.
//!
//! A command without its argument, or with one that cannot be, is refused and the bot is told.

use std::time::Duration;

use super::wire::CommandMessage;
use crate::dialect::Malformed;
use crate::dialect::envelope::destination::{is_bot_url, phones};
use crate::dialect::json::Text;
use crate::vocabulary::{CallCommand, CommandRefusal, DialDigits, DialOrder, Transfer, TransferTo};

/// Reads the command `kind`; `None` if it is none with an argument. Digits sound for `tone` each.
pub fn command(kind: &str, text: &str, tone: Duration) -> Option<CallCommand> {
    let (code, command) = match kind {
        "session.dtmf" => ("invalid_digits", digits(text, tone)),
        "session.transfer" => ("invalid_destination", transfer(text)),
        "session.transfer_ws" => ("invalid_url", transfer_ws(text)),
        "session.flow_transfer" => ("invalid_flow", flow_transfer(text)),
        "session.transfer_extension" => ("invalid_extension", transfer_extension(text)),
        _ => return None,
    };
    Some(command.unwrap_or_else(|malformed| refuse(kind, code, malformed.to_string())))
}

/// Reads `session.dtmf`; one bad character refuses the whole.
fn digits(text: &str, tone: Duration) -> Result<CallCommand, Malformed> {
    let dtmf = read(text, "dtmf")?.dtmf.ok_or(Malformed::Missing("dtmf"))?;
    Ok(match DialDigits::parse(dtmf.as_str(), tone) {
        Ok(digits) => CallCommand::Digits(digits),
        Err(message) => refuse("session.dtmf", "invalid_digits", message),
    })
}

/// Reads `session.transfer` to one phone or several.
fn transfer(text: &str) -> Result<CallCommand, Malformed> {
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
    match phones(destinations.iter().map(Text::as_str)) {
        Ok(phones) => Ok(to(TransferTo::Phones(phones, order), COMMAND)),
        Err(sentence) => Ok(refuse(COMMAND, "invalid_destination", sentence)),
    }
}

/// Reads `session.transfer_ws`; the address is checked for its scheme only, the shell guards the rest.
fn transfer_ws(text: &str) -> Result<CallCommand, Malformed> {
    const COMMAND: &str = "session.transfer_ws";
    let url = read(text, "url")?.url.ok_or(Malformed::Missing("url"))?;
    if !is_bot_url(url.as_str()) {
        return Ok(refuse(COMMAND, "invalid_url", "url: expected wss://… or ws://…".to_owned()));
    }
    Ok(to(TransferTo::Bot(url.as_str().into()), COMMAND))
}

/// Reads `session.flow_transfer`.
fn flow_transfer(text: &str) -> Result<CallCommand, Malformed> {
    const COMMAND: &str = "session.flow_transfer";
    let flow = read(text, "flow_id")?.flow_id.ok_or(Malformed::Missing("flow_id"))?;
    if !is_name(flow.as_str()) {
        return Ok(refuse(COMMAND, "invalid_flow", format!("flow_id: expected 1 to {NAME_BYTES_MAX} bytes")));
    }
    Ok(to(TransferTo::Flow(flow.as_str().into()), COMMAND))
}

/// Reads `session.transfer_extension`.
fn transfer_extension(text: &str) -> Result<CallCommand, Malformed> {
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

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// Bytes of a flow's or extension's name.
const NAME_BYTES_MAX: usize = 128;
