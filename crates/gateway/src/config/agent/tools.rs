//! `[[bots.NAME.tools]]`: what an agent can do besides talking, each behind an HTTP address.

use std::time::Duration;

use http::{HeaderMap, Method};

use super::super::headers;
use super::super::problem::Refusal;
use super::super::section::{Section, Setting};
use super::super::url::WebUrl;
use super::{ObjectSchema, Prose};

/// One of `[[bots.NAME.tools]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpTool {
    /// Its name, for the model.
    pub name: String,
    /// What it is good for, for the model.
    pub description: String,
    /// What its arguments look like.
    pub parameters: ObjectSchema,
    /// Where its calls are posted.
    pub url: WebUrl,
    /// How.
    pub method: Method,
    /// Headers of the request; their values do not print.
    pub headers: HeaderMap,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether the caller hears a soft sound meanwhile.
    pub thinking: bool,
}

/// The tools of a bot; `None` when one was refused.
pub(super) fn read(section: &Section<'_>) -> Option<Vec<HttpTool>> {
    let sections = section.list_of_sections("tools");
    if sections.len() > TOOLS_MAX {
        section.refuse("tools", Refusal::new("too many tools", format!("at most {TOOLS_MAX}")));
    }
    let tools: Vec<Option<HttpTool>> = sections.iter().map(HttpTool::read).collect();
    for (index, tool) in tools.iter().enumerate() {
        let Some(tool) = tool else { continue };
        let is_twice = tools[..index].iter().flatten().any(|earlier| earlier.name == tool.name);
        if is_twice || OWN_TOOLS.contains(&tool.name.as_str()) {
            let what = format!("\"{}\" is the name of another tool", tool.name);
            sections[index].refuse("name", Refusal::new(what, "choose another name"));
        }
    }
    tools.into_iter().collect()
}

impl HttpTool {
    fn read(section: &Section<'_>) -> Option<HttpTool> {
        let (name, url) = (section.value::<ToolName>("name"), section.value("url"));
        let description = section.value::<Prose>("description");
        let parameters = section.value_or("parameters", ObjectSchema::without_properties());
        let method = section.value_or("method", PostMethod(Method::POST));
        let headers = headers::read(section, "headers");
        let timeout = section.value_or("timeout", TIMEOUT);
        if timeout.is_some_and(|timeout| timeout > TIMEOUT_MAX || timeout.is_zero()) {
            section.refuse("timeout", Refusal::new("nobody waits so long on the telephone", "1ms to 60s"));
        }
        let thinking = section.value_or("thinking", true);
        Some(HttpTool {
            name: name?.0,
            description: description?.0,
            parameters: parameters?,
            url: url?,
            method: method?.0,
            headers,
            timeout: timeout?,
            thinking: thinking?,
        })
    }
}

/// A name that engines take.
struct ToolName(String);

impl Setting for ToolName {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        if is_name(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Refusal::new("this is not a name for a tool", NAME_CURE))
    }
}

/// Whether engines take this as a name.
pub(super) fn is_name(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !text.is_empty() && text.len() <= NAME_BYTES_MAX && text.bytes().all(good)
}

/// A method with a body.
struct PostMethod(Method);

impl Setting for PostMethod {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        match text {
            "POST" => Ok(Self(Method::POST)),
            "PUT" => Ok(Self(Method::PUT)),
            "PATCH" => Ok(Self(Method::PATCH)),
            _ => Err(Refusal::unknown("method", text, &["POST", "PUT", "PATCH"])),
        }
    }
}

pub(super) const NAME_CURE: &str = "letters, digits, \"_\" and \"-\", at most 64";

/// The tools that come with Patchcord.
const OWN_TOOLS: [&str; 4] = ["hang_up", "transfer", "send_digits", "save_fields"];

/// The most tools that an agent can have.
pub const TOOLS_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 64;
/// How long an answer may take where nothing else is said.
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
