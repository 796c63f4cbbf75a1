//! What a call with an agent leaves (seed 001): a transcript and a call file, made from what was committed alone.
//!
//! So they are the same whether the call ended in good order or its process was killed, and they are written again
//! from the store as often as need be: `docs/agent-calls.md` tells what stands in them. Whoever changes what a call's
//! file tells after the call (an extraction is final, a delivery is over) calls [`Leavings::rewrite_call_file`].

mod call_file;
mod desk;
mod names;
mod transcript;

use std::time::Duration;

use patchcord_core::vocabulary::Utterance;

use crate::store::{
    CallFileNames, DeliveryFilter, Store, StoreError, StoredCall, StoredDelivery, StoredFields,
};
use call_file::CallFile;

pub use call_file::learned;
pub use desk::{Desk, Leavings, LeavingsFigures};
pub use transcript::{Heard, Line, Transcript};

/// All that is stored of a call with an agent.
struct Found {
    call: StoredCall,
    utterances: Vec<Utterance>,
    fields: Option<StoredFields>,
    names: Option<CallFileNames>,
    deliveries: Vec<StoredDelivery>,
}

/// The call file of a call with an agent as it stands in the store at this moment, JSON; `None` for a call that never
/// had one.
///
/// # Errors
/// The database's.
pub async fn call_file(store: &Store, call: &StoredCall) -> Result<Option<String>, StoreError> {
    if store.files_of(&call.call_id).await?.is_none() {
        return Ok(None);
    }
    Ok(find(store, &call.call_id).await?.map(|found| CallFile::of(&found).json()))
}

/// What the webhook of a call's agent tells: its call file, and the conversation; JSON. `None` for a call that never had
/// one.
///
/// # Errors
/// The database's.
pub async fn webhook_body(store: &Store, call_id: &str) -> Result<Option<String>, StoreError> {
    if store.files_of(call_id).await?.is_none() {
        return Ok(None);
    }
    let Some(found) = find(store, call_id).await? else { return Ok(None) };
    let transcript = Transcript::of(&found.call, found.utterances.clone());
    Ok(Some(CallFile::of(&found).with(&transcript.conversation)))
}

/// The transcript of a call with an agent as far as it was finished; `None` for a call that never had one.
///
/// # Errors
/// The database's.
pub async fn transcript(store: &Store, call: &StoredCall) -> Result<Option<Transcript>, StoreError> {
    if store.files_of(&call.call_id).await?.is_none() {
        return Ok(None);
    }
    Ok(Some(Transcript::of(call, store.utterances_of(&call.call_id).await?)))
}

async fn find(store: &Store, call_id: &str) -> Result<Option<Found>, StoreError> {
    let Some(call) = store.find_call(call_id).await? else { return Ok(None) };
    let filter = DeliveryFilter { call_id: Some(call_id.to_owned()), ..DeliveryFilter::default() };
    let mut deliveries = store.list_deliveries(&filter, None, DELIVERIES_MAX).await?;
    deliveries.reverse();
    Ok(Some(Found {
        utterances: store.utterances_of(call_id).await?,
        fields: store.fields_of(call_id).await?,
        names: store.files_of(call_id).await?.and_then(|files| files.names),
        deliveries,
        call,
    }))
}

/// The vendor's id of the call. A SIP call has none but ours.
fn ucid(call: &StoredCall) -> &str {
    match call.phone_dialect.as_str() {
        "sip" => &call.call_id,
        _ if call.phone_leg_id.is_empty() => &call.call_id,
        _ => &call.phone_leg_id,
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Deliveries that a call file names, newest first.
const DELIVERIES_MAX: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{CallStatus, StoredCause};
    use patchcord_core::vocabulary::{CallOutcome, Direction, HeardPart, Role};

    /// An ended call of a vendor.
    pub(super) fn call() -> StoredCall {
        let record = r#"{"call_id":"call_1","from":"9876543210","cause":{"reason":"caller_hung_up"}}"#;
        StoredCall {
            call_id: "call_1".into(),
            server: "here".into(),
            stream_id: "1.001".into(),
            phone_leg_id: "CALL/1".into(),
            from: "9876543210".into(),
            to: "18001234567".into(),
            direction: Direction::Inbound,
            status: CallStatus::Ended(CallOutcome::Completed),
            bot: "dealer".into(),
            phone_dialect: "ozonetel".into(),
            bot_dialect: "openai-realtime".into(),
            parties_known: true,
            started_ms: 1_707_204_900_000,
            ringing_ms: None,
            answered_ms: Some(1_707_204_900_100),
            ended_ms: Some(1_707_204_965_432),
            cause: Some(StoredCause {
                class: "completed".into(),
                reason: "caller_hung_up".into(),
                q850: 16,
                hung_up_by: "caller".into(),
            }),
            callback_url: None,
            callback_known: true,
            custom_params: Default::default(),
            transfers: Vec::new(),
            bot_recording: None,
            full_recording: None,
            record: Some(record.into()),
            response_ms: None,
        }
    }

    /// What was said in it.
    pub(super) fn talk() -> Vec<Utterance> {
        let ms = Duration::from_millis;
        let said = |role, text: &str, span: (u64, u64), heard, response| Utterance {
            role,
            item: "item".into(),
            text: text.into(),
            start: ms(span.0),
            end: ms(span.1),
            heard,
            played: None,
            response,
        };
        let partly = HeardPart::First { audio: ms(700), text_bytes: "The price".len() };
        vec![
            said(Role::Bot, "Namaskar", (500, 1_500), HeardPart::All, None),
            // It was cut off before the caller, who began earlier, had finished.
            said(Role::Bot, "The price is ten", (3_450, 4_150), partly, Some(ms(450))),
            said(Role::Caller, "<b>Price</b> &\n--> now", (2_000, 3_000), HeardPart::All, None),
            said(Role::Bot, "Anything else?", (5_000, 5_000), HeardPart::Nothing, None),
        ]
    }

    #[test]
    fn a_call_without_a_vendors_id_goes_by_ours() {
        assert_eq!(ucid(&call()), "CALL/1");
        assert_eq!(ucid(&StoredCall { phone_dialect: "sip".into(), ..call() }), "call_1");
        assert_eq!(ucid(&StoredCall { phone_leg_id: String::new(), ..call() }), "call_1");
    }
}
