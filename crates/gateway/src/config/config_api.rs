//! `config_api` of a number: the operator's own program that says which bot takes a call (seed 000 §3A).

use http::HeaderMap;

use super::headers;
use super::problem::Refusal;
use super::section::Section;
use super::url::WebUrl;

/// How a number's CONFIG_API is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigApi {
    /// Where.
    pub url: WebUrl,
    /// Headers of the request; their values do not print.
    pub headers: HeaderMap,
    /// `FlowId`.
    pub flow_id: String,
    /// Whether the caller's header fields that `sip.headers` lets through are told.
    pub tells_sip_headers: bool,
}

impl ConfigApi {
    /// Reads the keys of a number; `None` where it has none, or one that is noted as wrong.
    pub(super) fn read(section: &Section<'_>) -> Option<ConfigApi> {
        if !section.has("config_api") {
            for key in KEYS.iter().filter(|key| section.has(key)) {
                let refusal = Refusal::new("only a number with config_api has this key", "leave it out");
                section.refuse(key, refusal);
            }
            return None;
        }
        let url = section.value("config_api");
        let headers = headers::read(section, "config_api_headers");
        let flow_id = section.value_or("flow_id", FLOW_ID.to_owned());
        let tells_sip_headers = section.value_or("config_api_sip_headers", false);
        Some(ConfigApi { url: url?, headers, flow_id: flow_id?, tells_sip_headers: tells_sip_headers? })
    }
}

/// The keys that go with `config_api`.
const KEYS: [&str; 3] = ["config_api_headers", "flow_id", "config_api_sip_headers"];
/// Seed 000's own.
const FLOW_ID: &str = "default_flow";

/// What stands in the place of a bot's name where a CONFIG_API describes the bot, or has not answered.
pub const CONFIG_API_BOT: &str = "config_api";
