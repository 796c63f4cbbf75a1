//! What becomes of an agent's calls: the fields that are taken from the conversation, and where the result is posted.

use std::time::Duration;

use super::super::extraction_schema::ExtractionSchema;
use super::super::problem::Refusal;
use super::super::secret::Secret;
use super::super::section::{Section, Setting, wrong_kind};
use super::super::tree::{Node, Value};
use super::super::url::WebUrl;
use super::Engine;

/// `extract`: who fills in which fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Extract {
    /// The chat completions endpoint.
    pub url: WebUrl,
    /// Its model.
    pub model: String,
    /// The fields.
    pub schema: ExtractionSchema,
    /// Its key.
    pub api_key: Option<Secret>,
    /// Whether fields are filled in during the call as well.
    pub live: bool,
    /// How long it may take to answer.
    pub timeout: Duration,
}

/// `webhook`: where the result of each call is posted.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhook {
    /// Where.
    pub url: WebUrl,
    /// What it is signed with.
    pub secret: Option<Secret>,
}

impl Extract {
    pub(super) fn read(section: &Section<'_>, engine: &Option<Engine>) -> Option<Extract> {
        let (url, model, schema) = (section.value("url"), section.value("model"), section.value("schema"));
        let own: Option<Secret> = section.value("api_key");
        let live = section.value_or("live", true);
        let timeout = section.value_or("timeout", TIMEOUT);
        if timeout.is_some_and(|timeout| !(TIMEOUT_MIN..=TIMEOUT_MAX).contains(&timeout)) {
            section.refuse("timeout", Refusal::new("this is no time for an answer", "from 1s to 60s"));
        }
        Some(Extract {
            url: url?,
            model: model?,
            schema: schema?,
            api_key: own.or_else(|| engine.as_ref()?.api_key.clone()),
            live: live?,
            timeout: timeout?,
        })
    }
}

impl Setting for Webhook {
    fn from_node(node: &Node) -> Result<Self, Refusal> {
        let table = match &node.value {
            Value::Text(text) => return Self::from_text(text),
            Value::Table(table) => table,
            _ => return Err(wrong_kind(node, "a URL, or { url = \"…\", secret = \"…\" }")),
        };
        let (mut url, mut secret) = (None, None);
        for entry in &table.0 {
            match entry.key.as_str() {
                "url" => url = Some(WebUrl::from_node(&entry.node)?),
                "secret" => secret = Some(Secret::from_node(&entry.node)?),
                other => return Err(Refusal::unknown("key", other, &["url", "secret"])),
            }
        }
        if secret.as_ref().is_some_and(|secret| secret.expose().len() < SECRET_BYTES_MIN) {
            let what = format!("a secret of fewer than {SECRET_BYTES_MIN} bytes can be guessed");
            return Err(Refusal::new(what, "draw one: openssl rand -base64 32"));
        }
        let missing = || Refusal::new("\"url\" is missing", "write { url = \"https://…\", secret = \"…\" }");
        Ok(Self { url: url.ok_or_else(missing)?, secret })
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        WebUrl::parse(text).map(|url| Self { url, secret: None })
    }
}

/// How long a service may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// The shortest secret.
const SECRET_BYTES_MIN: usize = 16;
