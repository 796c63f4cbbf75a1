//! What a call's owner is told: the body of a status callback (seed 000 §8).
//!
//! The body is made once, when the event is stored, and never again: every repeat sends the same bytes.

use std::collections::BTreeMap;

use serde::Serialize;

use super::transfer_fields::TransferFields;

/// The body of a callback; fields without a value are left out.
#[derive(Debug, Clone, Default, Serialize)]
pub struct StatusEvent<'a> {
    /// Its name.
    pub event: &'a str,
    /// The call.
    pub call_id: &'a str,
    /// Who calls.
    pub from: &'a str,
    /// Who is called.
    pub to: &'a str,
    /// How the call stands: `initiated`, `ringing`, `in-progress`, or how it ended.
    pub status: &'a str,
    /// `inbound` or `outbound`.
    pub direction: &'a str,
    /// Whole seconds since the call's first sign.
    pub duration: u64,
    /// When it happened, RFC 3339 in UTC with milliseconds.
    pub timestamp: &'a str,
    /// What the call's owner gave along.
    pub custom_params: BTreeMap<&'a str, &'a str>,
    /// Q.850 cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hangup_cause: Option<String>,
    /// Our own word for the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hangup_reason: Option<&'a str>,
    /// The cause's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hangup_cause_txt: Option<&'a str>,
    /// `caller`, `bot`, `agent` or `system`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disconnected_by: Option<&'a str>,
    /// Where the bot's part can be heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording_url: Option<String>,
    /// Where the whole call can be heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_recording_url: Option<String>,
    /// The customer's number in a transferred call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer_no: Option<&'a str>,
    /// What became of its transfers.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<TransferResult<'a>>,
}

/// What a callback tells of a transfer: all of [`TransferFields`] but the legs, which the API has.
#[derive(Debug, Clone, Serialize)]
pub struct TransferResult<'a> {
    transfer_to: &'a str,
    transfer_status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_answered_by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_answered_at: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer_hangup_cause: Option<&'a str>,
}

impl StatusEvent<'_> {
    /// The bytes to store and to send.
    pub fn body(&self) -> String {
        // Strings and numbers only: serialisation into memory has nothing to fail at.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl<'a> From<&'a TransferFields> for TransferResult<'a> {
    fn from(fields: &'a TransferFields) -> Self {
        Self {
            transfer_to: &fields.transfer_to,
            transfer_status: &fields.transfer_status,
            transfer_answered_by: fields.transfer_answered_by.as_deref(),
            transfer_answered_at: fields.transfer_answered_at.as_deref(),
            transfer_duration: fields.transfer_duration,
            transfer_hangup_cause: fields.transfer_hangup_cause.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn the_first_event_of_a_call_has_the_base_fields_and_nothing_else() {
        let event = StatusEvent {
            event: "call.initiated",
            call_id: "call_1",
            from: "7415100898",
            to: "9876543210",
            status: "initiated",
            direction: "outbound",
            timestamp: "2024-02-06T07:35:00.000Z",
            custom_params: BTreeMap::from([("order", "77")]),
            ..StatusEvent::default()
        };
        assert_eq!(
            serde_json::from_str::<Value>(&event.body()).unwrap(),
            json!({
                "event": "call.initiated", "call_id": "call_1", "from": "7415100898", "to": "9876543210",
                "status": "initiated", "direction": "outbound", "duration": 0,
                "timestamp": "2024-02-06T07:35:00.000Z", "custom_params": {"order": "77"},
            })
        );
    }

    #[test]
    fn the_last_event_tells_cause_and_transfer_with_every_field_at_the_top() {
        let fields = TransferFields {
            transfer_to: "101,102".into(),
            transfer_status: "completed".into(),
            transfer_answered_by: Some("102".into()),
            transfer_answered_at: Some("2024-02-06T07:35:14.000Z".into()),
            transfer_duration: Some(10),
            transfer_hangup_cause: Some("16".into()),
            ..TransferFields::default()
        };
        let event = StatusEvent {
            event: "call.completed",
            hangup_cause: Some("16".into()),
            hangup_reason: Some("caller_hung_up"),
            hangup_cause_txt: Some("Normal Clearing"),
            disconnected_by: Some("caller"),
            customer_no: Some("9876543210"),
            transfer: Some(TransferResult::from(&fields)),
            ..StatusEvent::default()
        };
        let body: Value = serde_json::from_str(&event.body()).unwrap();
        assert_eq!((&body["hangup_cause"], &body["disconnected_by"]), (&json!("16"), &json!("caller")));
        assert_eq!((&body["transfer_to"], &body["transfer_duration"]), (&json!("101,102"), &json!(10)));
        assert_eq!((&body["customer_no"], body.get("transfer_legs")), (&json!("9876543210"), None));
    }
}
