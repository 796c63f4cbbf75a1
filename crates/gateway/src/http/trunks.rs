//! `/trunks`: the carriers.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::openapi::KeyProblems;
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
    /// The calling code of the country whose national numbers it sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "91")]
    country: Option<String>,
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
    Json(TrunkList { data: api.exchange.config().trunks.iter().map(ShownTrunk::of).collect() })
}

impl ShownTrunk {
    fn of(trunk: &Trunk) -> Self {
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
            country: trunk.country.as_ref().map(CountryCode::as_str).map(str::to_owned),
        }
    }
}
