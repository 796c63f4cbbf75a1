//! `GET /calls/{call_id}/timeline`: all that is known of a call on one axis of time, in one answer: what a page needs that
//! shows how a call went.

mod curve;
mod lanes;
mod transfers;

use axum::extract::State;
use axum::{Extension, Json};
use patchcord_core::vocabulary::{Reason, iso8601, q850_text};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::view::CallView;
use super::{CallName, find, unavailable};
use crate::calls::{SipLadder, StoredHistory, wire_log};
use crate::clock::unix_ms;
use crate::config::Role;
use crate::http::api::Api;
use crate::http::callbacks::CallbackView;
use crate::http::openapi::ReadProblems;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::query::Parameters;
use crate::http::recordings::ShownRecording;
use crate::leavings::{self, Line};
use crate::store::{DeliveryFilter, StoredCall, StoredCause, StoredFields, Trace};
use crate::tasks::blocking;
use curve::CurveView;
use lanes::{Lanes, SipView};
use transfers::TransferView;

/// A call on its axis of time. Every `at_ms` is milliseconds since the call's first sign, every `for_ms` a length.
#[derive(Serialize, ToSchema)]
#[schema(as = Timeline)]
pub struct TimelineView {
    /// The call.
    call: CallView,
    /// Its first sign, ms since 1970: where the axis begins.
    #[schema(example = 1_707_204_900_000_u64)]
    started_ms: u64,
    /// When it rang.
    #[serde(skip_serializing_if = "Option::is_none")]
    ringing_at_ms: Option<u64>,
    /// When it was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_at_ms: Option<u64>,
    /// Where the axis ends: at the call's end, or at this moment.
    length_ms: u64,
    /// Whether the call is up: then what is told at its end is missing.
    is_up: bool,
    /// Why it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<CauseView>,
    /// Language of the phone leg: `sip` or a dialect's name.
    phone_dialect: String,
    /// Language of the last bot's leg: `built-in` or a dialect's name.
    bot_dialect: String,
    /// The ways that its sound took, bot after bot: `rtp PCMU/8000 → ivr-solutions linear16/8000`.
    media: Vec<String>,
    /// Its loudness.
    #[serde(skip_serializing_if = "Option::is_none")]
    curve: Option<CurveView>,
    /// Its recordings.
    recordings: Vec<TimedRecording>,
    /// What happened; missing of a call whose process was killed, and of calls of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    lanes: Option<Lanes>,
    /// Its SIP messages; missing where no leg of it was SIP.
    #[serde(skip_serializing_if = "Option::is_none")]
    sip: Option<SipView>,
    /// Whether there is a wire log: `GET /calls/{call_id}/ladder` draws it.
    has_wire_log: bool,
    /// Its transfers, in order.
    transfers: Vec<TransferView>,
    /// What was said with an agent, in the order in which it began.
    utterances: Vec<Line>,
    /// What was learned; missing where no agent had the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    fields: Option<FieldsView>,
    /// Its callbacks, first to last.
    deliveries: Vec<CallbackView>,
    /// Its record, as in `calls.jsonl`, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    record: Option<Box<RawValue>>,
}

/// Why a call ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineCause)]
pub struct CauseView {
    /// Who has to look into it: `completed`, `caller`, `bot`, `upstream` or `us`.
    #[schema(example = "completed")]
    class: String,
    /// The stable word for the reason.
    #[schema(example = "caller_hung_up")]
    reason: String,
    /// The Q.850 cause.
    q850: u8,
    /// The cause's text.
    q850_text: &'static str,
    /// The SIP status that stands for the reason where the call is not answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    sip_status: Option<u16>,
    /// `caller`, `bot`, `agent` or `system`.
    hung_up_by: String,
}

/// What was learned from a call.
#[derive(Serialize, ToSchema)]
#[schema(as = TimelineFields)]
pub struct FieldsView {
    /// Where the extraction stands: `absent`, `live`, `final` or `failed`.
    state: &'static str,
    /// What was extracted last.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    /// What the bot noted itself.
    #[schema(value_type = Object)]
    saved: Map<String, Value>,
    /// Why a field has no value, by its name.
    #[schema(value_type = Object)]
    reasons: Map<String, Value>,
    /// When any of it changed last, RFC 3339.
    updated_at: String,
}

/// A recording and its place on the axis.
#[derive(Debug, Serialize, ToSchema)]
pub struct TimedRecording {
    /// Where it begins.
    at_ms: u64,
    /// The file.
    #[serde(flatten)]
    file: ShownRecording,
}

/// A call on its axis of time
///
/// Digits are shown to operators and administrators; readers see that a key was pressed, not which.
#[utoipa::path(
    get,
    path = "/calls/{call_id}/timeline",
    operation_id = "show_timeline",
    tag = "calls",
    params(
        ("call_id" = String, Path, description = "The call's id"),
        ("points" = Option<u32>, Query, description = "Points of the loudness curve at most, 4000 if not given", minimum = 1, maximum = 100_000),
    ),
    responses(
        (status = 200, description = "What is known of it", body = TimelineView),
        (status = 404, description = "No call has this id", body = ProblemBody, content_type = "application/problem+json"),
        ReadProblems,
    ),
)]
pub async fn timeline(
    State(api): State<Api>,
    Extension(role): Extension<Role>,
    CallName(call_id): CallName,
    mut query: Parameters,
) -> Result<Json<TimelineView>, Problem> {
    let points = query.number("points", 1..=POINTS_MAX)?.unwrap_or(POINTS);
    query.finish()?;
    let call = find(&api, &call_id).await?;
    let files = files(&api, &call_id).await;
    let store = &api.exchange.store;
    let history = store.find_trace(&call_id, Trace::History).await.map_err(unavailable)?;
    let mut history = history.and_then(|text| StoredHistory::parse(&text));
    let ladder = match api.exchange.sip_ladders.of(&call_id) {
        Some(ladder) => Some(ladder),
        None => {
            let text = store.find_trace(&call_id, Trace::Ladder).await.map_err(unavailable)?;
            text.and_then(|text| serde_json::from_str::<SipLadder>(&text).ok())
        }
    };
    let transcript = leavings::transcript(store, &call).await.map_err(unavailable)?;
    let fields = store.fields_of(&call_id).await.map_err(unavailable)?;
    let filter = DeliveryFilter { call_id: Some(call_id), ..DeliveryFilter::default() };
    let mut deliveries = store.list_deliveries(&filter, None, DELIVERIES_MAX).await.map_err(unavailable)?;
    deliveries.reverse();
    let (started_ms, now_ms) = (call.started_ms, unix_ms());
    let sound_began = history.as_ref().and_then(lanes::sound_began);
    let since = |unix_ms: u64| unix_ms.saturating_sub(started_ms);
    let curve_at = sound_began.or(call.answered_ms.map(since)).unwrap_or(0);
    Ok(Json(TimelineView {
        started_ms,
        ringing_at_ms: call.ringing_ms.map(since),
        answered_at_ms: call.answered_ms.map(since),
        length_ms: call.ended_ms.unwrap_or(now_ms).saturating_sub(started_ms),
        is_up: call.ended_ms.is_none(),
        cause: call.cause.clone().map(|cause| CauseView::of(cause, call.answered_ms.is_some())),
        phone_dialect: call.phone_dialect.clone(),
        bot_dialect: call.bot_dialect.clone(),
        curve: files.levels.map(|levels| CurveView::of(&levels, curve_at, points)),
        recordings: files.recordings.into_iter().map(|file| TimedRecording::of(file, started_ms)).collect(),
        media: history.as_mut().map_or_else(Vec::new, |history| std::mem::take(&mut history.media)),
        lanes: history.map(|history| Lanes::of(history, role >= Role::Operator)),
        sip: ladder.map(|ladder| SipView::of(ladder, started_ms)),
        has_wire_log: files.has_wire_log,
        transfers: TransferView::all_of(&call),
        utterances: transcript.map_or_else(Vec::new, |transcript| transcript.conversation),
        fields: fields.map(FieldsView::of),
        deliveries: deliveries.into_iter().map(CallbackView::of).collect(),
        record: record(&call),
        call: CallView::of(call, &api.exchange.studio.call_links, now_ms),
    }))
}

/// What the disk knows of a call.
#[derive(Default)]
struct Files {
    levels: Option<Vec<u8>>,
    recordings: Vec<ShownRecording>,
    has_wire_log: bool,
}

/// What cannot be read is left out: the rest of the answer helps all the same.
async fn files(api: &Api, call_id: &str) -> Files {
    let recorder = &api.exchange.studio.recorder;
    let (curves, catalogue) = (recorder.curves().clone(), recorder.catalogue().clone());
    let (id, data_dir) = (call_id.to_owned(), api.exchange.config().server.data_dir.clone());
    let read = blocking(move || {
        let call = catalogue.find(&id).ok().flatten();
        let files = call.map_or_else(Vec::new, |call| call.files);
        Files {
            levels: curves.read(&id).ok().flatten(),
            recordings: files.into_iter().map(|file| ShownRecording::of(&id, file)).collect(),
            has_wire_log: wire_log::file_of(&data_dir, &id).is_some_and(|path| path.exists()),
        }
    });
    read.await.unwrap_or_default()
}

fn record(call: &StoredCall) -> Option<Box<RawValue>> {
    RawValue::from_string(call.record.clone()?).ok()
}

impl CauseView {
    fn of(cause: StoredCause, was_answered: bool) -> Self {
        let row =
            Reason::find(&cause.reason).map(|reason| patchcord_core::vocabulary::Cause::new(reason).row());
        Self {
            q850_text: q850_text(cause.q850),
            sip_status: row.filter(|_| !was_answered).map(|row| row.sip_status),
            class: cause.class,
            reason: cause.reason,
            q850: cause.q850,
            hung_up_by: cause.hung_up_by,
        }
    }
}

impl FieldsView {
    fn of(known: StoredFields) -> Self {
        let StoredFields { saved, fields, reasons, state, updated_ms } = known;
        Self { state: state.word(), fields, saved, reasons, updated_at: iso8601(updated_ms) }
    }
}

impl TimedRecording {
    fn of(file: ShownRecording, started_ms: u64) -> Self {
        Self { at_ms: file.started_ms().saturating_sub(started_ms), file }
    }
}

/// Points of a curve where nobody says how many.
const POINTS: u64 = 4_000;
/// Points of a curve.
const POINTS_MAX: u64 = 100_000;
/// Callbacks of a call that are shown.
const DELIVERIES_MAX: usize = 200;
