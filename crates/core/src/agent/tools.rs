//! The tools that come with an agent: what the engine is told of them, and what a call of one means.
//!
//! Arguments are a model's writing: whatever they are, the answer is an order to the call or a sentence for the model.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Abilities, AgentTerms};
use crate::vocabulary::{DIAL_DIGITS_MAX, DialDigits, ToolCall, Transfer};

/// What a call of a tool means.
#[derive(Debug, Clone, PartialEq)]
pub enum ToolWish {
    /// End the call when the caller has heard the goodbye.
    HangUp,
    /// Give the call to somebody else when the caller has heard what was said.
    Transfer(Transfer),
    /// Press keys.
    SendDigits(DialDigits),
    /// Note these fields of the call: a JSON object as text.
    SaveFields(Box<str>),
    /// Something behind the shell; whether the caller hears a sound while it takes long.
    Remote {
        /// Whether it does.
        thinking: bool,
    },
    /// Nothing: what the model is told instead.
    Refused(Box<str>),
}

/// What `call` means under `terms`.
pub fn wish_of(call: &ToolCall, terms: &AgentTerms) -> ToolWish {
    let may = &terms.may;
    let wish = match &*call.name {
        HANG_UP if may.hang_up => Ok(ToolWish::HangUp),
        TRANSFER if !may.transfer.is_empty() => transfer(&call.arguments, may),
        SEND_DIGITS if may.send_digits => send_digits(&call.arguments),
        SAVE_FIELDS if may.save_fields => save_fields(&call.arguments),
        name => match terms.tools.iter().find(|tool| *tool.name == *name) {
            Some(tool) => object(&call.arguments).map(|_| ToolWish::Remote { thinking: tool.thinking }),
            None => Err("there is no tool of this name".to_owned()),
        },
    };
    wish.unwrap_or_else(|sentence| ToolWish::Refused(error(&sentence)))
}

/// The tools that `may` gives to a model: name, description, and the JSON Schema of the arguments.
pub fn own_tools(may: &Abilities) -> Vec<(&'static str, &'static str, Value)> {
    let mut tools = Vec::new();
    if may.hang_up {
        let none = json!({ "type": "object", "properties": {} });
        tools.push((HANG_UP, "Ends the call. Say goodbye first; the caller hears it to its end.", none));
    }
    if !may.transfer.is_empty() {
        let names: Vec<&str> = may.transfer.iter().map(|(name, _)| &**name).collect();
        let parameters = json!({
            "type": "object",
            "properties": { "to": { "type": "string", "enum": names } },
            "required": ["to"],
        });
        let what = "Gives the call to somebody else. Tell the caller first; the caller hears it to its end.";
        tools.push((TRANSFER, what, parameters));
    }
    if may.send_digits {
        let parameters = json!({
            "type": "object",
            "properties": { "digits": { "type": "string", "description": "0-9, *, #, A-D; w waits half a second" } },
            "required": ["digits"],
        });
        tools.push((SEND_DIGITS, "Presses keys of the telephone.", parameters));
    }
    if may.save_fields {
        let what = "Notes what was learned in this call, under names of your choice.";
        tools.push((SAVE_FIELDS, what, json!({ "type": "object", "additionalProperties": true })));
    }
    tools
}

/// What a model is told of a failure.
pub(crate) fn error(sentence: &str) -> Box<str> {
    json!({ "error": sentence }).to_string().into()
}

/// What a model is told of a success.
pub(crate) fn done(sentence: &str) -> Box<str> {
    json!({ "result": sentence }).to_string().into()
}

fn transfer(arguments: &str, may: &Abilities) -> Result<ToolWish, String> {
    let arguments = object(arguments)?;
    let names = || may.transfer.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ");
    let to = arguments.get("to").and_then(Value::as_str).unwrap_or_default();
    let target = may.transfer.iter().find(|(name, _)| **name == *to);
    let (_, target) = target.ok_or_else(|| format!("\"to\" is none of: {}", names()))?;
    Ok(ToolWish::Transfer(Transfer { to: target.clone(), command: TRANSFER }))
}

fn send_digits(arguments: &str) -> Result<ToolWish, String> {
    let arguments = object(arguments)?;
    let digits = match arguments.get("digits") {
        Some(Value::String(digits)) => digits.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(format!("\"digits\" is missing: 1 to {DIAL_DIGITS_MAX} keys")),
    };
    DialDigits::parse(&digits, TONE).map(ToolWish::SendDigits)
}

fn save_fields(arguments: &str) -> Result<ToolWish, String> {
    let fields = object(arguments)?;
    if fields.is_empty() {
        return Err("there is nothing to note".to_owned());
    }
    Ok(ToolWish::SaveFields(Value::Object(fields).to_string().into()))
}

/// The arguments as an object; a model that has none may write nothing.
fn object(arguments: &str) -> Result<Map<String, Value>, String> {
    if arguments.len() > ARGUMENTS_BYTES_MAX {
        return Err(format!("the arguments have more than {ARGUMENTS_BYTES_MAX} bytes"));
    }
    match serde_json::from_str(if arguments.trim().is_empty() { "{}" } else { arguments }) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("the arguments are not a JSON object".to_owned()),
        Err(_) => Err("the arguments are not JSON".to_owned()),
    }
}

pub(crate) const TRANSFER: &str = "transfer";
const HANG_UP: &str = "hang_up";
const SEND_DIGITS: &str = "send_digits";
const SAVE_FIELDS: &str = "save_fields";

/// How long each key sounds.
const TONE: Duration = Duration::from_millis(100);

/// Arguments of a tool, in bytes.
pub const ARGUMENTS_BYTES_MAX: usize = 16 << 10;

#[cfg(test)]
mod tests {
    use super::super::RemoteTool;
    use super::*;
    use crate::vocabulary::{DialOrder, PhoneNumber, TransferTo};

    fn terms() -> AgentTerms {
        let desk = TransferTo::Phones(vec![PhoneNumber::new("101")], DialOrder::AllAtOnce);
        let transfer = vec![("desk".into(), desk)];
        AgentTerms {
            may: Abilities { hang_up: true, transfer, send_digits: true, save_fields: true },
            tools: vec![RemoteTool { name: "stock".into(), thinking: true }],
            ..AgentTerms::default()
        }
    }

    fn wish(name: &str, arguments: &str, terms: &AgentTerms) -> ToolWish {
        wish_of(&ToolCall { id: "c".into(), name: name.into(), arguments: arguments.into() }, terms)
    }

    #[test]
    fn every_tool_means_an_order_or_a_sentence_for_the_model() {
        let terms = terms();
        assert_eq!(wish("hang_up", "", &terms), ToolWish::HangUp);
        assert!(matches!(wish("transfer", r#"{"to":"desk"}"#, &terms), ToolWish::Transfer(_)));
        assert!(matches!(wish("send_digits", r#"{"digits":"1w2#"}"#, &terms), ToolWish::SendDigits(_)));
        assert!(matches!(wish("send_digits", r#"{"digits":12}"#, &terms), ToolWish::SendDigits(_)));
        let saved = ToolWish::SaveFields(r#"{"name":"Asha"}"#.into());
        assert_eq!(wish("save_fields", r#"{ "name": "Asha" }"#, &terms), saved);
        assert_eq!(wish("stock", "{}", &terms), ToolWish::Remote { thinking: true });
        for (name, arguments, word) in [
            ("transfer", r#"{"to":"911"}"#, "desk"),
            ("transfer", "{}", "desk"),
            ("transfer", "nonsense", "not JSON"),
            ("send_digits", r#"{"digits":"12x"}"#, "character 3"),
            ("send_digits", "{}", "digits"),
            ("save_fields", "{}", "nothing"),
            ("save_fields", "[1]", "object"),
            ("stock", "[]", "object"),
            ("rm", "{}", "no tool"),
        ] {
            let ToolWish::Refused(told) = wish(name, arguments, &terms) else { panic!("{name} {arguments}") };
            let told: Value = serde_json::from_str(&told).unwrap();
            assert!(told["error"].as_str().unwrap().contains(word), "{told}");
        }
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(ARGUMENTS_BYTES_MAX));
        assert!(matches!(wish("save_fields", &long, &terms), ToolWish::Refused(_)));
    }

    #[test]
    fn a_model_is_told_of_what_it_may_do_and_may_do_nothing_else() {
        let names = |may: &Abilities| own_tools(may).iter().map(|(name, ..)| *name).collect::<Vec<_>>();
        assert_eq!(names(&terms().may), ["hang_up", "transfer", "send_digits", "save_fields"]);
        let nothing = Abilities { hang_up: false, ..Abilities::default() };
        assert!(names(&nothing).is_empty());
        let terms = AgentTerms { may: nothing, ..AgentTerms::default() };
        for name in ["hang_up", "transfer", "send_digits", "save_fields"] {
            assert!(matches!(wish(name, r#"{"to":"desk","digits":"1"}"#, &terms), ToolWish::Refused(_)));
        }
        let schema = &own_tools(&super::tests::terms().may)[1].2;
        assert_eq!(schema["properties"]["to"]["enum"], json!(["desk"]));
    }
}
