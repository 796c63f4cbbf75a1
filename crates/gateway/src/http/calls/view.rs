//! A call as the API shows it: seed 000's fields, and beside them who talked and why it ended.

use std::collections::BTreeMap;

use patchcord_core::vocabulary::{Moment, iso8601, q850_text};
use serde::Serialize;
use utoipa::ToSchema;

use crate::jobs::{LegFields, TransferFields};
use crate::recording::CallLinks;
use crate::store::{StoredCall, UNIX_CLOCK, direction_word};

/// A call. Fields without a value are left out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Call)]
pub struct CallView {
    /// Its id.
    #[schema(example = "call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    pub call_id: String,
    /// `initiated`, `ringing`, `in-progress`, `completed`, `busy`, `no-answer`, `failed` or `canceled`.
    #[schema(example = "completed")]
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
    /// Whole seconds from its first sign to its end, or until now.
    #[schema(example = 42)]
    duration: u64,
    /// The phone leg's own id: the SIP Call-ID, or the vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    telephony_call_id: Option<String>,
    /// The bot's name in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "sales")]
    bot: Option<String>,
    /// When its first sign came, RFC 3339.
    #[schema(example = "2024-02-06T07:15:00.000Z")]
    started_at: String,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-02-06T07:15:02.000Z")]
    answered_at: Option<String>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-02-06T07:15:42.000Z")]
    ended_at: Option<String>,
    /// Q.850 cause of its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "16")]
    hangup_cause: Option<String>,
    /// Our own word for the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "caller_hung_up")]
    hangup_reason: Option<String>,
    /// The cause's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Normal Clearing")]
    hangup_cause_txt: Option<String>,
    /// `caller`, `bot`, `agent` or `system`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "caller")]
    disconnected_by: Option<String>,
    /// What was given along for its callbacks.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    custom_params: BTreeMap<String, String>,
    /// Where the bot's part can be heard: a link that expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    recording_url: Option<String>,
    /// Where the whole call can be heard, with the human: a link that expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    full_recording_url: Option<String>,
    /// When its recordings were deleted, if they were, all of them; lists do not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-05-06T07:15:42.000Z")]
    deleted_at: Option<String>,
    /// All destinations of its transfers, comma-separated.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_to: Option<String>,
    /// `initiating`, `answered`, `completed`, `failed`, `caller_abandoned` or `handed_off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_status: Option<String>,
    /// Who answered and was joined to the caller.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_answered_by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_answered_at: Option<String>,
    /// Whole seconds that they have talked.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_duration: Option<u64>,
    /// Q.850 cause of the end of the last transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_hangup_cause: Option<String>,
    /// Every destination that was dialled.
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_legs: Option<Vec<LegFields>>,
}

impl CallView {
    /// All its recordings were deleted, the last of them at `at_ms`, ms since 1970: there is nothing to fetch.
    pub fn recordings_are_deleted(&mut self, at_ms: u64) {
        self.deleted_at = Some(iso8601(at_ms));
        (self.recording_url, self.full_recording_url) = (None, None);
    }

    /// The call as it stands at `now_ms`, ms since 1970.
    pub fn of(call: StoredCall, links: &CallLinks, now_ms: u64) -> Self {
        let (recording_url, full_recording_url) = links.of(&call, now_ms);
        let transfers = transfers(&call, now_ms);
        let mut view = Self {
            status: call.status.word(),
            direction: direction_word(call.direction),
            duration: call.duration_s(now_ms),
            started_at: iso8601(call.started_ms),
            answered_at: call.answered_ms.map(iso8601),
            ended_at: call.ended_ms.map(iso8601),
            hangup_cause: call.cause.as_ref().map(|cause| cause.q850.to_string()),
            hangup_cause_txt: call.cause.as_ref().map(|cause| q850_text(cause.q850).to_owned()),
            hangup_reason: call.cause.as_ref().map(|cause| cause.reason.clone()),
            disconnected_by: call.cause.map(|cause| cause.hung_up_by),
            telephony_call_id: Some(call.phone_leg_id).filter(|id| !id.is_empty()),
            bot: Some(call.bot).filter(|bot| !bot.is_empty()),
            call_id: call.call_id,
            from: call.from,
            to: call.to,
            custom_params: call.custom_params,
            recording_url,
            full_recording_url,
            deleted_at: None,
            transfer_to: None,
            transfer_status: None,
            transfer_answered_by: None,
            transfer_answered_at: None,
            transfer_duration: None,
            transfer_hangup_cause: None,
            transfer_legs: None,
        };
        if let Some(transfers) = transfers {
            view.transfer_to = Some(transfers.transfer_to);
            view.transfer_status = Some(transfers.transfer_status);
            view.transfer_answered_by = transfers.transfer_answered_by;
            view.transfer_answered_at = transfers.transfer_answered_at;
            view.transfer_duration = transfers.transfer_duration;
            view.transfer_hangup_cause = transfers.transfer_hangup_cause;
            view.transfer_legs = Some(transfers.transfer_legs);
        }
        view
    }
}

/// What became of the call's transfers until `now_ms`.
pub fn transfers(call: &StoredCall, now_ms: u64) -> Option<TransferFields> {
    let until = call.ended_ms.unwrap_or(now_ms);
    TransferFields::of(&call.transfers, UNIX_CLOCK, Moment::from_millis(until))
}
