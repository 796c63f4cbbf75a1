//! `/trunks`: the carriers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::openapi::KeyProblems;
use crate::calls::{TrunkReach, TrunkStatus};
use crate::config::{CountryCode, Trunk};

/// All carriers.
#[derive(Debug, Serialize, ToSchema)]
pub struct TrunkList {
    /// In the order of the file.
    data: Vec<ShownTrunk>,
}

/// A carrier.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Trunk)]
pub struct ShownTrunk {
    /// Its name.
    #[schema(example = "carrier")]
    name: String,
    /// The networks that it calls from.
    #[schema(example = json!(["203.0.113.0/24"]))]
    accept_from: Vec<String>,
    /// Its name or address, where calls go out by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sip.carrier.example")]
    host: Option<String>,
    /// The numbers that may be dialled by it; `91*` is a beginning.
    #[schema(example = json!(["91*"]))]
    allow: Vec<String>,
    /// The numbers that may be shown as the caller.
    #[schema(example = json!(["7415100898"]))]
    caller_ids: Vec<String>,
    /// Bounds of the calls that go out.
    limits: ShownLimits,
    /// How the line to the carrier stands, where calls go out by it.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<ShownLine>,
    /// The calling code of the country whose national numbers it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "91")]
    country: Option<String>,
}

/// How the line to a carrier stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrunkLine)]
pub struct ShownLine {
    /// Whether the carrier answers: `up`, `down`, or `unknown` where it was not asked.
    #[schema(example = "up")]
    reach: &'static str,
    /// Since when, in milliseconds since 1970.
    since_ms: u64,
    /// Our registration, where the trunk has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<ShownRegistration>,
    /// The place that answered last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "udp:203.0.113.7:5060")]
    target: Option<String>,
    /// Why nothing could be sent the last time, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<String>,
    /// What is wrong with the line and what to look at, in words; absent where all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "The carrier refuses our registration (403): look at username and password.")]
    advice: Option<String>,
}

/// How a registration stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrunkRegistration)]
pub struct ShownRegistration {
    /// `registering`, `registered`, `failed` or `left`.
    #[schema(example = "registered")]
    state: &'static str,
    /// The SIP status of the refusal; absent where nobody answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    sip_status: Option<u16>,
    /// Since when, in milliseconds since 1970.
    since_ms: u64,
}

/// Bounds of the calls that go out by a carrier.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrunkLimits)]
pub struct ShownLimits {
    /// At a time.
    #[schema(example = 50)]
    calls: usize,
    /// In a minute.
    #[schema(example = 60)]
    per_minute: u32,
    /// How long one may last, in seconds.
    #[schema(example = 7200)]
    max_duration_s: u64,
}

/// The carriers of the configuration
#[utoipa::path(
    get,
    path = "/trunks",
    operation_id = "list_trunks",
    tag = "configuration",
    responses((status = 200, description = "All carriers", body = TrunkList), KeyProblems),
)]
pub async fn list(State(api): State<Api>) -> Json<TrunkList> {
    let lines = api.exchange.trunk_lines.statuses();
    let line = |trunk: &Trunk| lines.iter().find(|line| line.name == trunk.name);
    let shown = |trunk: &Trunk| ShownTrunk::of(trunk, line(trunk));
    Json(TrunkList { data: api.exchange.config().trunks.iter().map(shown).collect() })
}

impl ShownTrunk {
    fn of(trunk: &Trunk, line: Option<&TrunkStatus>) -> Self {
        Self {
            name: trunk.name.clone(),
            accept_from: trunk.accept_from.iter().map(ToString::to_string).collect(),
            host: trunk.carrier.as_ref().map(|carrier| carrier.host.clone()),
            allow: trunk.rules.allow.iter().map(ToString::to_string).collect(),
            caller_ids: trunk.rules.caller_ids.iter().map(ToString::to_string).collect(),
            limits: ShownLimits {
                calls: trunk.limits.calls,
                per_minute: trunk.limits.per_minute,
                max_duration_s: trunk.limits.max_duration.as_secs(),
            },
            line: line.map(ShownLine::of),
            country: trunk.country.as_ref().map(CountryCode::as_str).map(str::to_owned),
        }
    }
}

impl ShownLine {
    fn of(status: &TrunkStatus) -> Self {
        Self {
            reach: status.reach.as_str(),
            since_ms: status.since_ms,
            registration: status.registration.map(|registration| ShownRegistration {
                state: registration.state,
                sip_status: registration.status,
                since_ms: registration.since_ms,
            }),
            target: status.target.clone(),
            trouble: status.trouble.clone(),
            advice: advice(status),
        }
    }
}

/// What is wrong with a line and what to look at; nothing where all is well.
pub fn advice(status: &TrunkStatus) -> Option<String> {
    if let Some(registration) = status.registration.filter(|registration| registration.state == "failed") {
        return Some(match registration.status {
            None => "Nobody answers our registration: look at host, port and firewall.".to_owned(),
            Some(code @ (401 | 403 | 407)) => {
                format!("The carrier refuses our registration ({code}): look at username and password.")
            }
            Some(404) => "The carrier does not know this account (404): look at username.".to_owned(),
            Some(code) => format!("The carrier refuses our registration ({code})."),
        });
    }
    if let Some(trouble) = &status.trouble {
        return Some(format!("Nothing can be sent to the carrier: {trouble}."));
    }
    (status.reach == TrunkReach::Down)
        .then(|| "The carrier does not answer: look at host, port and firewall.".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::TrunkRegistration;

    #[test]
    fn a_line_in_trouble_says_what_to_look_at_and_a_good_one_nothing() {
        let line =
            |reach, registration: Option<(&'static str, Option<u16>)>, trouble: Option<&str>| TrunkStatus {
                name: "carrier".to_owned(),
                reach,
                since_ms: 0,
                registration: registration.map(|(state, status)| TrunkRegistration {
                    state,
                    status,
                    since_ms: 0,
                }),
                target: None,
                trouble: trouble.map(str::to_owned),
            };
        for good in
            [line(TrunkReach::Up, None, None), line(TrunkReach::Unknown, Some(("registering", None)), None)]
        {
            assert_eq!(advice(&good), None, "{good:?}");
        }
        for (bad, word) in [
            (line(TrunkReach::Up, Some(("failed", Some(403))), None), "password"),
            (line(TrunkReach::Up, Some(("failed", Some(404))), None), "account"),
            (line(TrunkReach::Up, Some(("failed", Some(500))), None), "500"),
            (line(TrunkReach::Down, Some(("failed", None)), None), "Nobody"),
            (line(TrunkReach::Down, None, None), "firewall"),
            (line(TrunkReach::Unknown, None, Some("no address")), "no address"),
        ] {
            assert!(advice(&bad).is_some_and(|said| said.contains(word)), "{bad:?}");
        }
    }
}
