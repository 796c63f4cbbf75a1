//! `[bots.NAME]` of dialect `openai-realtime`: a voice agent of ours, which is an engine somewhere, what it is told, the
//! tools it has, its limits, and what becomes of its calls.

mod engine;
mod leavings;
mod limits;
mod object_schema;
mod thinking;
mod tools;

use std::sync::Arc;

use patchcord_core::agent::{Abilities, AgentTerms, RemoteTool, own_tools};
use patchcord_core::dialect::{EngineSettings, ToolSpec};
use patchcord_core::vocabulary::TransferTo;

pub(super) use engine::Engine;
pub use leavings::{Extract, Webhook};
pub use limits::AgentLimits;
pub use object_schema::ObjectSchema;
pub use tools::HttpTool;

use super::dialect_names::DialectName;
use super::problem::Refusal;
use super::section::{Section, Setting};
use super::tree::Value;

/// What `[bots.NAME]` says of a voice agent, beside what it says of any bot.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentSettings {
    /// What the engine is told.
    pub engine: Arc<EngineSettings>,
    /// What it may do with a call, for the call.
    pub terms: Arc<AgentTerms>,
    /// Whether the file names no audio: then it is that of the phone, where engines speak it.
    pub follows_phone: bool,
    /// The fields that are taken from a conversation.
    pub extract: Option<Extract>,
    /// Where the result of a call is posted.
    pub webhook: Option<Webhook>,
    /// How long its calls may last.
    pub limits: AgentLimits,
    /// What else it can do.
    pub tools: Vec<HttpTool>,
}

impl AgentSettings {
    /// Reads what `[bots.NAME]` says of an agent, and its engine; any other bot has none of these keys.
    pub(super) fn read(
        section: &Section<'_>,
        dialect: Option<DialectName>,
    ) -> Option<(AgentSettings, Engine)> {
        if dialect.is_none_or(|dialect| dialect.as_str() != OPENAI_REALTIME) {
            for key in OWN_KEYS.iter().filter(|key| dialect.is_some() && section.has(key)) {
                let what = format!("only {OPENAI_REALTIME} has this key");
                section.refuse(key, Refusal::new(what, format!("leave it out of {}", section.path)));
            }
            return None;
        }
        let (may, tools) = (abilities(&section.section("may")), tools::read(section));
        let specs = specs(&may.clone().unwrap_or_default(), tools.as_deref().unwrap_or_default());
        let engine = Engine::read(section, specs);
        let extract = section.has("extract").then(|| Extract::read(&section.section("extract"), &engine));
        let webhook = section.has("webhook").then(|| section.value("webhook"));
        let limits = AgentLimits::read(&section.section("limits"));
        let (engine, tools, limits) = (engine?, tools?, limits?);
        let remote =
            |tool: &HttpTool| RemoteTool { name: tool.name.as_str().into(), thinking: tool.thinking };
        let terms = AgentTerms {
            may: may?,
            tools: tools.iter().map(remote).collect(),
            thinking: thinking::clip(),
            duration: limits.duration,
            silence: limits.silence,
            session: limits.session,
        };
        let settings = AgentSettings {
            engine: Arc::new(engine.settings.clone()),
            terms: Arc::new(terms),
            follows_phone: !section.has("audio"),
            extract: extract.map_or(Some(None), |read| read.map(Some))?,
            webhook: webhook.map_or(Some(None), |read| read.map(Some))?,
            limits,
            tools,
        };
        Some((settings, engine))
    }

    /// The tool of that name behind an HTTP address.
    pub fn find_tool(&self, name: &str) -> Option<&HttpTool> {
        self.tools.iter().find(|tool| tool.name == name)
    }
}

/// What the engine is told of its tools.
fn specs(may: &Abilities, tools: &[HttpTool]) -> Vec<ToolSpec> {
    let spec = |name: &str, description: &str, parameters: String| ToolSpec {
        name: name.into(),
        description: description.into(),
        parameters: parameters.into(),
    };
    let own = own_tools(may).into_iter().map(|(name, what, schema)| spec(name, what, schema.to_string()));
    let remote =
        tools.iter().map(|tool| spec(&tool.name, &tool.description, tool.parameters.as_json().to_string()));
    own.chain(remote).collect()
}

/// `may`: what the agent may do with a call.
fn abilities(section: &Section<'_>) -> Option<Abilities> {
    let mut transfer = Vec::new();
    for (name, node) in section.map("transfer") {
        let target = match &node.value {
            Value::Text(text) if tools::is_name(name) => target(text),
            Value::Text(_) => Err(Refusal::new("this is not a name", tools::NAME_CURE)),
            _ => Err(super::section::wrong_kind(node, "a string: a number, or flow:NAME")),
        };
        match target {
            Ok(target) => transfer.push((name.into(), target)),
            Err(refusal) => {
                let path = super::section::join(&section.path_of("transfer"), name);
                section.report.refuse(&path, &node.place, refusal);
            }
        }
    }
    Some(Abilities {
        hang_up: section.value_or("hang_up", true)?,
        transfer,
        send_digits: section.value_or("send_digits", false)?,
        save_fields: section.value_or("save_fields", false)?,
    })
}

/// Where a transfer of an agent may lead.
fn target(text: &str) -> Result<TransferTo, Refusal> {
    use patchcord_core::vocabulary::{DialOrder, PhoneNumber};
    if let Some(extension) = text.strip_prefix("extension:") {
        return Ok(TransferTo::Extension(extension.into()));
    }
    if let Some(flow) = text.strip_prefix("flow:") {
        return Ok(TransferTo::Flow(flow.into()));
    }
    if let Some(bot) = text.strip_prefix("bot:") {
        return Ok(TransferTo::NamedBot(bot.into()));
    }
    if !super::is_dialable(text) {
        return Err(Refusal::new(
            "this is no number that can be called",
            "digits, or extension:101, flow:NAME, bot:NAME",
        ));
    }
    Ok(TransferTo::Phones(vec![PhoneNumber::new(text)], DialOrder::AllAtOnce))
}

/// Text of any length and any lines.
pub(super) struct Prose(pub(super) String);

impl Setting for Prose {
    fn from_text(text: &str) -> Result<Prose, Refusal> {
        if text.trim().is_empty() || text.contains('\0') {
            return Err(Refusal::new(
                "the text is empty",
                "write what the agent is told, or leave the key out",
            ));
        }
        Ok(Prose(text.to_owned()))
    }
}

/// A number that may have a fraction.
impl Setting for f64 {
    fn from_node(node: &super::tree::Node) -> Result<f64, Refusal> {
        match &node.value {
            Value::Fraction(number) => Ok(*number),
            Value::Whole(number) => Ok(*number as f64),
            _ => Err(super::section::wrong_kind(node, "a number, without quotes")),
        }
    }

    fn from_text(text: &str) -> Result<f64, Refusal> {
        let refusal = || Refusal::new(format!("\"{text}\" is not a number"), "for example 0.8");
        text.parse().map_err(|_| refusal())
    }
}

/// The number `key`, which must lie between two others.
fn number_within(section: &Section<'_>, key: &str, (least, most): (f64, f64)) -> Option<f64> {
    let number: f64 = section.value(key)?;
    if !(least..=most).contains(&number) {
        section.refuse(key, Refusal::new("the number is out of range", format!("from {least} to {most}")));
    }
    Some(number)
}

/// The dialect whose bots are agents of ours.
pub const OPENAI_REALTIME: &str = "openai-realtime";

/// The keys that only an agent has.
const OWN_KEYS: &[&str] = &[
    "api_key",
    "model",
    "voice",
    "instructions",
    "greeting",
    "language",
    "temperature",
    "speed",
    "transcription",
    "beta",
    "azure",
    "turn_detection",
    "webhook",
    "extract",
    "limits",
    "may",
    "tools",
];

#[cfg(test)]
mod tests;
