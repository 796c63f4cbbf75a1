//! The body of an event, made from the call as it is stored with it.

use patchcord_core::vocabulary::{Moment, iso8601, q850_text};

use super::status_event::{StatusEvent, TransferResult};
use super::transfer_fields::TransferFields;
use crate::store::{CallStatus, EventName, StoredCall, UNIX_CLOCK, direction_word};

/// What is told of `call` when `event` happened at `at_ms`, ms since 1970; `links` lead to its recordings, the bot's
/// part and the whole.
pub fn body(
    call: &StoredCall,
    event: EventName,
    at_ms: u64,
    links: (Option<String>, Option<String>),
) -> String {
    let timestamp = iso8601(at_ms);
    let status = match event {
        EventName::Initiated => CallStatus::Initiated,
        EventName::Ringing => CallStatus::Ringing,
        EventName::InProgress => CallStatus::InProgress,
        EventName::Ended(outcome) => CallStatus::Ended(outcome),
        EventName::Transferring | EventName::Recording | EventName::Result => call.status,
    };
    let cause = call.cause.as_ref().filter(|_| status.is_final());
    let transfers = TransferFields::of(&call.transfers, UNIX_CLOCK, Moment::from_millis(at_ms));
    let customer = match direction_word(call.direction) {
        "outbound" => &call.to,
        _ => &call.from,
    };
    StatusEvent {
        event: event.word(),
        call_id: &call.call_id,
        from: &call.from,
        to: &call.to,
        status: status.word(),
        direction: direction_word(call.direction),
        duration: call.ended_ms.map_or(at_ms, |ended| ended.min(at_ms)).saturating_sub(call.started_ms)
            / 1_000,
        timestamp: &timestamp,
        custom_params: call
            .custom_params
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
        hangup_cause: cause.map(|cause| cause.q850.to_string()),
        hangup_reason: cause.map(|cause| cause.reason.as_str()),
        hangup_cause_txt: cause.map(|cause| q850_text(cause.q850)),
        disconnected_by: cause.map(|cause| cause.hung_up_by.as_str()),
        recording_url: links.0,
        full_recording_url: links.1,
        customer_no: transfers.is_some().then_some(customer.as_str()),
        transfer: transfers.as_ref().map(TransferResult::from),
    }
    .body()
}
