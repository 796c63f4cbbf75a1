//! How a call that is stored changes by what is told of it, and what is told others thereof: no database in here.
//!
//! A fact that comes twice, or too late, changes nothing and is told nobody: so a write may be repeated.

use std::collections::BTreeMap;

use patchcord_core::vocabulary::{CallOutcome, TransferReport};
use serde::Deserialize;

use super::call::{StoredCall, StoredCause, StoredParties};
use super::{CallStatus, EventName};

/// What a call tells the store while it lives.
#[derive(Debug, Clone, PartialEq)]
pub enum Fact {
    /// A vendor has said who is who.
    Parties(StoredParties),
    /// Whoever was asked where events are posted has answered.
    Callback(NamedCallback),
    /// It rings.
    Ringing,
    /// It was answered.
    InProgress,
    /// A transfer began, or went on; its moments are milliseconds since 1970.
    Transfer(Box<TransferReport>),
    /// A recording can be fetched.
    Recording(StoredRecording),
    /// It is over.
    Ended(Box<EndedCall>),
}

/// What somebody who was asked about a call wants to hear of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NamedCallback {
    /// Where its events are posted; where it was to be, if none is named.
    pub url: Option<Box<str>>,
    /// What goes along with every event from here on.
    pub custom_params: BTreeMap<String, String>,
}

/// A recording of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecording {
    /// What it holds.
    pub part: RecordedPart,
    /// The file's name in the place of recordings.
    pub file: Box<str>,
}

/// What a recording holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordedPart {
    /// The caller with the bot.
    Bot,
    /// All of it, people included.
    Whole,
}

/// What is left of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct EndedCall {
    /// How it ended.
    pub outcome: CallOutcome,
    /// Why.
    pub cause: StoredCause,
    /// Who was who.
    pub parties: StoredParties,
    /// Our id of its last stream.
    pub stream_id: Box<str>,
    /// The last bot's name in the configuration.
    pub bot: Box<str>,
    /// The last bot's language.
    pub bot_dialect: Box<str>,
    /// When it was answered, ms since 1970.
    pub answered_ms: Option<u64>,
    /// Its transfers as they stand at the end; empty where none is told.
    pub transfers: Vec<TransferReport>,
    /// Its line of `calls.jsonl`.
    pub record: Option<String>,
}

/// The events that follow, each with its time in ms since 1970.
pub(super) type Told = Vec<(EventName, u64)>;

/// What is told of a call that begins.
pub(super) fn begin(call: &StoredCall) -> Told {
    if call.parties_known { vec![(EventName::Initiated, call.started_ms)] } else { Vec::new() }
}

/// Changes `call` by a `fact` of `at_ms`.
pub(super) fn apply(call: &mut StoredCall, fact: &Fact, at_ms: u64) -> Told {
    let mut told = Told::new();
    if call.status.is_final() {
        // What is made beside the call may be ready after it.
        if let Fact::Recording(recording) = fact {
            keep_recording(call, recording, at_ms, &mut told);
        }
        return told;
    }
    match fact {
        Fact::Parties(parties) => know_parties(call, Some(parties), &mut told),
        Fact::Callback(named) => {
            call.custom_params.extend(named.custom_params.clone());
            know_callback(call, named.url.as_deref());
        }
        Fact::Ringing => {
            know_parties(call, None, &mut told);
            if call.status == CallStatus::Initiated {
                call.status = CallStatus::Ringing;
                call.ringing_ms = Some(at_ms);
                told.push((EventName::Ringing, at_ms));
            }
        }
        Fact::InProgress => {
            know_parties(call, None, &mut told);
            if call.status != CallStatus::InProgress {
                call.status = CallStatus::InProgress;
                call.answered_ms = Some(at_ms);
                told.push((EventName::InProgress, at_ms));
            }
        }
        Fact::Transfer(transfer) => {
            know_parties(call, None, &mut told);
            keep_transfer(call, transfer, &mut told);
        }
        Fact::Recording(recording) => {
            know_parties(call, None, &mut told);
            keep_recording(call, recording, at_ms, &mut told);
        }
        Fact::Ended(ended) => end(call, ended, at_ms, &mut told),
    }
    told
}

fn end(call: &mut StoredCall, ended: &EndedCall, at_ms: u64, told: &mut Told) {
    know_parties(call, Some(&ended.parties), told);
    know_callback(call, None);
    for transfer in &ended.transfers {
        keep_transfer(call, transfer, told);
    }
    call.status = CallStatus::Ended(ended.outcome);
    call.stream_id = ended.stream_id.to_string();
    call.bot = ended.bot.to_string();
    call.bot_dialect = ended.bot_dialect.to_string();
    call.answered_ms = call.answered_ms.or(ended.answered_ms);
    call.ended_ms = Some(at_ms);
    call.cause = Some(ended.cause.clone());
    call.response_ms = ended.record.as_deref().and_then(response_ms);
    call.record.clone_from(&ended.record);
    told.push((EventName::Ended(ended.outcome), at_ms));
}

/// The median of the bot's response times in the line of a call that ended; none where nothing was measured.
fn response_ms(record: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Line {
        quality: Quality,
    }
    #[derive(Deserialize)]
    struct Quality {
        bot_response_ms: Option<Times>,
    }
    #[derive(Deserialize)]
    struct Times {
        p50: f64,
    }
    let line: Line = serde_json::from_str(record).ok()?;
    // Milliseconds of at most minutes, never below zero.
    line.quality.bot_response_ms.map(|times| times.p50.max(0.0) as u64)
}

/// The first event of a call tells who is who, so it waits until that is known, or something else is told. The leg of a
/// phone that we call has its own id only when it is dialled, another one at each carrier.
fn know_parties(call: &mut StoredCall, parties: Option<&StoredParties>, told: &mut Told) {
    if call.parties_known {
        let leg_id = parties.map(|parties| &*parties.phone_leg_id).filter(|id| !id.is_empty());
        call.phone_leg_id = leg_id.map_or_else(|| std::mem::take(&mut call.phone_leg_id), str::to_owned);
        return;
    }
    if let Some(parties) = parties {
        call.from = parties.from.to_string();
        call.to = parties.to.to_string();
        call.phone_leg_id = parties.phone_leg_id.to_string();
    }
    call.parties_known = true;
    told.push((EventName::Initiated, call.started_ms));
}

fn know_callback(call: &mut StoredCall, address: Option<&str>) {
    if !call.callback_known {
        call.callback_known = true;
        call.callback_url = address.map(str::to_owned).or_else(|| call.callback_url.take());
    }
}

fn keep_transfer(call: &mut StoredCall, transfer: &TransferReport, told: &mut Told) {
    match call.transfers.iter_mut().find(|known| known.sequence == transfer.sequence) {
        Some(known) => known.clone_from(transfer),
        None => {
            told.push((EventName::Transferring, transfer.started_at.as_millis()));
            call.transfers.push(transfer.clone());
        }
    }
}

fn keep_recording(call: &mut StoredCall, recording: &StoredRecording, at_ms: u64, told: &mut Told) {
    let place = match recording.part {
        RecordedPart::Bot => &mut call.bot_recording,
        RecordedPart::Whole => &mut call.full_recording,
    };
    if place.as_deref() != Some(&*recording.file) {
        *place = Some(recording.file.to_string());
        told.push((EventName::Recording, at_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::{CallbackAddress, NewCall};
    use super::*;
    use patchcord_core::vocabulary::{DialOrder, Direction, Moment, TransferStatus};

    fn parties() -> StoredParties {
        StoredParties { from: "1001".into(), to: "1800".into(), phone_leg_id: "leg".into() }
    }

    fn new_call(parties: Option<StoredParties>, callback: CallbackAddress) -> StoredCall {
        let new = NewCall {
            call_id: "call_1".into(),
            stream_id: "1.001".into(),
            parties,
            direction: Direction::Inbound,
            bot: "echo".into(),
            phone_dialect: "sip".into(),
            bot_dialect: "built-in".into(),
            started_ms: 1_000,
            callback,
            custom_params: BTreeMap::new(),
            leaves_files: false,
        };
        StoredCall::begun(&new, "here")
    }

    #[test]
    fn the_id_of_a_dialled_leg_is_kept_when_it_is_known_and_nothing_else_is_told() {
        let nameless = StoredParties { phone_leg_id: "".into(), ..parties() };
        let mut call = new_call(Some(nameless.clone()), CallbackAddress::Known(None));
        for (leg_id, kept) in [("first", "first"), ("second", "second"), ("", "second")] {
            let fact = Fact::Parties(StoredParties { phone_leg_id: leg_id.into(), ..parties() });
            assert_eq!(names(&apply(&mut call, &fact, 2_000)), [""; 0]);
            assert_eq!(call.phone_leg_id, kept);
        }
    }

    fn ended(outcome: CallOutcome) -> Fact {
        Fact::Ended(Box::new(EndedCall {
            outcome,
            cause: StoredCause {
                class: "completed".into(),
                reason: "caller_hung_up".into(),
                q850: 16,
                hung_up_by: "caller".into(),
            },
            parties: parties(),
            stream_id: "1.002".into(),
            bot: "parrot".into(),
            bot_dialect: "built-in".into(),
            answered_ms: Some(3_000),
            transfers: Vec::new(),
            record: Some("{}".into()),
        }))
    }

    fn transfer(status: TransferStatus) -> Fact {
        Fact::Transfer(Box::new(TransferReport {
            sequence: 1,
            order: DialOrder::AllAtOnce,
            status,
            destinations: vec!["2001".into()],
            answered_by: None,
            started_at: Moment::from_millis(4_000),
            answered_at: None,
            ended_at: None,
            q850: None,
            legs: Vec::new(),
        }))
    }

    fn names(told: &Told) -> Vec<&'static str> {
        told.iter().map(|(name, _)| name.word()).collect()
    }

    #[test]
    fn a_call_is_told_of_step_by_step_and_each_step_once() {
        let mut call = new_call(Some(parties()), CallbackAddress::Known(None));
        let mut told = begin(&call);
        let recording = StoredRecording { part: RecordedPart::Bot, file: "a.wav".into() };
        for (at, fact) in [
            Fact::Ringing,
            Fact::Ringing,
            Fact::InProgress,
            Fact::Ringing,
            Fact::InProgress,
            transfer(TransferStatus::Initiating),
            transfer(TransferStatus::Answered),
            ended(CallOutcome::Completed),
            ended(CallOutcome::Failed),
            Fact::InProgress,
            Fact::Recording(recording.clone()),
            Fact::Recording(recording),
        ]
        .iter()
        .enumerate()
        {
            told.extend(apply(&mut call, fact, 2_000 + at as u64));
        }
        let expected = [
            "call.initiated",
            "call.ringing",
            "call.in-progress",
            "call.transferring",
            "call.completed",
            "call.recording",
        ];
        assert_eq!(names(&told), expected);
        assert_eq!((call.status.word(), call.bot.as_str()), ("completed", "parrot"));
        assert_eq!((call.transfers.len(), call.transfers[0].status), (1, TransferStatus::Answered));
        assert_eq!(call.answered_ms, Some(2_002));
    }

    #[test]
    fn nothing_is_told_of_a_vendors_call_before_it_is_known_whose_it_is() {
        let mut call = new_call(None, CallbackAddress::Known(None));
        assert!(begin(&call).is_empty());
        assert_eq!(names(&apply(&mut call, &Fact::Parties(parties()), 2_000)), ["call.initiated"]);
        assert_eq!(call.from, "1001");
        let mut silent = new_call(None, CallbackAddress::Known(None));
        let told = apply(&mut silent, &ended(CallOutcome::Canceled), 2_000);
        assert_eq!(names(&told), ["call.initiated", "call.canceled"]);
    }

    #[test]
    fn the_address_that_somebody_names_in_time_counts_and_the_end_waits_for_nobody() {
        let asked = || CallbackAddress::Asked(Some("http://number/".into()));
        let mut named = new_call(Some(parties()), asked());
        for url in ["http://answer/", "http://late/"] {
            let named_there = NamedCallback { url: Some(url.into()), ..NamedCallback::default() };
            apply(&mut named, &Fact::Callback(named_there), 2_000);
        }
        assert_eq!((named.callback_known, named.callback_url.as_deref()), (true, Some("http://answer/")));
        let mut ended_first = new_call(Some(parties()), asked());
        apply(&mut ended_first, &ended(CallOutcome::Failed), 2_000);
        assert_eq!(ended_first.callback_url.as_deref(), Some("http://number/"));
        assert!(ended_first.callback_known);
    }
}
