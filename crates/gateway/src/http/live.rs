//! `GET /live`: the calls that are up on this server, as they stand.

use std::sync::PoisonError;

use axum::Json;
use axum::extract::State;
use patchcord_core::call::RecordingState;
use patchcord_core::vocabulary::{CallId, iso8601};
use serde::Serialize;
use utoipa::ToSchema;

use super::api::Api;
use super::calls::unavailable;
use super::openapi::ReadProblems;
use super::problem::Problem;
use super::query::Parameters;
use crate::store::{StoredCall, direction_word};

/// The calls that are up.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveCalls {
    /// The one that began first, first.
    data: Vec<LiveCall>,
}

/// A call that is up.
#[derive(Debug, Serialize, ToSchema)]
pub struct LiveCall {
    /// Its id.
    #[schema(example = "call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    call_id: String,
    /// `initiated`, `ringing` or `in-progress`.
    #[schema(example = "in-progress")]
    status: &'static str,
    /// `inbound` or `outbound`.
    #[schema(example = "inbound")]
    direction: &'static str,
    /// Who calls, as received.
    #[schema(example = "9876543210")]
    from: String,
    /// Who is called, as received.
    #[schema(example = "18001234567")]
    to: String,
    /// The phone leg's own id: the SIP Call-ID, or the vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    telephony_call_id: Option<String>,
    /// The bot's name in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sales")]
    bot: Option<String>,
    /// `sip`, or the language of the vendor that holds the phone.
    #[schema(example = "sip")]
    phone_dialect: String,
    /// `built-in`, or the bot's language.
    #[schema(example = "ivr-solutions")]
    bot_dialect: String,
    /// When its first sign came.
    #[schema(format = DateTime)]
    started_at: String,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    answered_at: Option<String>,
    /// How long the caller waited for the bot's last answer, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 640)]
    response_ms: Option<u64>,
    /// Whether it is being recorded.
    recording: bool,
    /// Transfers so far.
    transfers: usize,
}

/// The calls that are up on this server
#[utoipa::path(
    get,
    path = "/live",
    operation_id = "list_live_calls",
    tag = "calls",
    responses((status = 200, description = "The calls that are up", body = LiveCalls), ReadProblems),
)]
pub async fn list(State(api): State<Api>, query: Parameters) -> Result<Json<LiveCalls>, Problem> {
    query.finish()?;
    let calls = api.exchange.store.calls_up().await.map_err(unavailable)?;
    // A call whose end is not stored yet is up no more.
    let data = calls.into_iter().filter_map(|call| LiveCall::of(&api, call)).collect();
    Ok(Json(LiveCalls { data }))
}

impl LiveCall {
    fn of(api: &Api, call: StoredCall) -> Option<Self> {
        let handle = api.exchange.registry.find(&CallId::from_wire(&call.call_id))?;
        let snapshot = *handle.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self {
            status: call.status.word(),
            direction: direction_word(call.direction),
            bot: Some(call.bot).filter(|bot| !bot.is_empty()),
            started_at: iso8601(call.started_ms),
            answered_at: call.answered_ms.map(iso8601),
            response_ms: snapshot.response.map(|time| time.as_millis().try_into().unwrap_or(u64::MAX)),
            recording: snapshot.recording != RecordingState::default(),
            transfers: call.transfers.len(),
            call_id: call.call_id,
            telephony_call_id: Some(call.phone_leg_id).filter(|id| !id.is_empty()),
            from: call.from,
            to: call.to,
            phone_dialect: call.phone_dialect,
            bot_dialect: call.bot_dialect,
        })
    }
}
