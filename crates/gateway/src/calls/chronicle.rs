//! What calls tell the store: each has a page, writes on it without ever waiting, and ends it with its record.
//!
//! A page is begun and durable before its call is answered; the disk may hold up a ring for that, never a sound.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use patchcord_core::agent::is_agent;
use patchcord_core::call::{CallSettings, PhoneSettings, RefusedCall, refused_record};
use patchcord_core::vocabulary::{
    CallFact, CallId, CallRecord, Direction, Moment, PhoneNumber, Reason, Role, Timeline, Utterance,
    WallClock,
};
use tracing::{info, warn};

use super::exchange::SIP;
use super::history::StoredHistory;
use super::records::Records;
use super::registry::Seat;
use crate::store::{
    Beside, CallbackAddress, EndedCall, Fact, NewCall, PlacedUtterance, Store, StoreError, StoredCause,
    StoredParties, Trace, since_1970,
};

/// Where calls are told of: the store, and the file of ended calls.
#[derive(Debug, Clone)]
pub struct Chronicle {
    store: Store,
    records: Records,
}

/// One call's place in it.
#[derive(Debug, Clone)]
pub struct CallPage {
    chronicle: Chronicle,
    call_id: CallId,
    clock: WallClock,
    talk: Arc<Talk>,
}

/// What was told of the conversation so far.
#[derive(Debug, Default)]
struct Talk {
    /// An agent has, or had, the call.
    leaves_files: AtomicBool,
    utterances: AtomicU32,
}

impl Chronicle {
    /// A chronicle in `store` and `records`.
    pub fn new(store: Store, records: Records) -> Self {
        Self { store, records }
    }

    /// Whether there is room for what another call will tell.
    pub fn takes_calls(&self) -> bool {
        self.store.takes_calls()
    }

    /// Begins the page of a call, with what goes along in its callbacks, and waits until it is durable: before, nobody
    /// is told that there is a call. A vendor's parties are told later, by [`CallPage::parties`].
    ///
    /// The page is to be ended also when it could not be begun in time, by [`CallPage::give_up`]: it may be begun later.
    pub fn begin(
        &self,
        settings: &CallSettings,
        callback: CallbackAddress,
        custom_params: BTreeMap<String, String>,
    ) -> impl Future<Output = (CallPage, Result<(), StoreError>)> + Send + 'static {
        let new = NewCall { custom_params, ..new_call(settings, callback) };
        let page = self.page((&settings.call_id, settings.clock));
        page.talk.leaves_files.store(new.leaves_files, Ordering::Relaxed);
        async move {
            let at_ms = new.started_ms;
            let begun = page.chronicle.store.begin_call(new, at_ms).await;
            (page, begun)
        }
    }

    /// The page of a call that was begun.
    pub(super) fn page(&self, (call_id, clock): (&CallId, WallClock)) -> CallPage {
        CallPage { chronicle: self.clone(), call_id: call_id.clone(), clock, talk: Arc::default() }
    }

    /// Writes the whole page of a call that was refused. If the store is behind, only the file has it: refused calls
    /// may be many.
    pub fn refuse(&self, record: &CallRecord, callback: CallbackAddress) {
        let line = self.records.line(record);
        if self.store.takes_calls() {
            let new = NewCall {
                call_id: record.call_id.as_str().into(),
                stream_id: record.stream_id.as_str().into(),
                parties: Some(parties(record)),
                direction: record.direction,
                bot: record.bot.clone(),
                phone_dialect: record.phone_dialect.clone(),
                bot_dialect: record.bot_dialect.clone(),
                started_ms: record.clock.unix_ms(record.started_at),
                callback,
                custom_params: BTreeMap::new(),
                leaves_files: false,
            };
            let at_ms = new.started_ms;
            self.store.begin_call_unawaited(new, at_ms);
            self.end(record, line.clone());
        } else {
            self.store.count_skipped();
        }
        self.records.append(line);
    }

    fn end(&self, record: &CallRecord, line: String) {
        let unix_ms = |at: Moment| record.clock.unix_ms(at);
        let row = record.cause.row();
        let ended = EndedCall {
            outcome: record.outcome(),
            cause: StoredCause {
                class: row.class.word().to_owned(),
                reason: row.word.to_owned(),
                q850: record.q850(),
                hung_up_by: record.hung_up_by.word().to_owned(),
            },
            parties: parties(record),
            stream_id: record.stream_id.as_str().into(),
            bot: record.bot.clone(),
            bot_dialect: record.bot_dialect.clone(),
            answered_ms: record.answered_at.map(unix_ms),
            transfers: record.transfers.iter().map(|transfer| since_1970(transfer, record.clock)).collect(),
            record: Some(line),
        };
        let call_id = record.call_id.as_str();
        self.store.tell(call_id, Fact::Ended(Box::new(ended)), unix_ms(record.ended_at));
    }
}

impl CallPage {
    /// A vendor has said whose call it is.
    pub fn parties(&self, from: &PhoneNumber, to: &PhoneNumber, phone_leg_id: &str, at: Moment) {
        let parties = StoredParties {
            from: from.as_str().into(),
            to: to.as_str().into(),
            phone_leg_id: phone_leg_id.into(),
        };
        self.tell(Fact::Parties(parties), at);
    }

    /// Something became of the call.
    pub fn report(&self, fact: &CallFact, at: Moment) {
        let fact = match fact {
            CallFact::Timeline(timeline) => return self.keep_history(timeline, Vec::new()),
            CallFact::Ringing => Fact::Ringing,
            CallFact::InProgress => Fact::InProgress,
            CallFact::Transfer(report) => Fact::Transfer(Box::new(since_1970(report, self.clock))),
            CallFact::StopReceived => {
                info!("stop received");
                return;
            }
            CallFact::Misread(end, why) => {
                warn!(%why, "a message of the {end} is not understood; any others are counted in malformed_messages");
                return;
            }
            CallFact::EngineConnected => {
                info!("connected to the engine");
                return self.leaves_files_from(at);
            }
            CallFact::Utterance(utterance) => return self.say(utterance, at),
            CallFact::Fields(json) => return self.add(Beside::Saved(json.clone()), at),
        };
        self.tell(fact, at);
    }

    /// Whether an agent has, or had, the call.
    pub fn leaves_files(&self) -> bool {
        self.talk.leaves_files.load(Ordering::Relaxed)
    }

    /// An agent has the call.
    pub fn leaves_files_from(&self, at: Moment) {
        if !self.talk.leaves_files.swap(true, Ordering::Relaxed) {
            self.add(Beside::LeavesFiles, at);
        }
    }

    fn say(&self, utterance: &Utterance, at: Moment) {
        self.leaves_files_from(at);
        if utterance.role == Role::Caller {
            info!(characters = utterance.text.chars().count(), "transcription completed");
        }
        let position = self.talk.utterances.fetch_add(1, Ordering::Relaxed);
        if position < UTTERANCES_MAX {
            let utterance = Utterance { text: cut(&utterance.text).into(), ..utterance.clone() };
            self.add(Beside::Utterance(PlacedUtterance { position, utterance }), at);
        } else if position == UTTERANCES_MAX {
            warn!(kept = UTTERANCES_MAX, "the conversation goes on unwritten: too many utterances");
        }
    }

    fn add(&self, beside: Beside, at: Moment) {
        self.chronicle.store.add(self.call_id.as_str(), beside, self.clock.unix_ms(at));
    }

    /// Whose page it is.
    pub fn call_id(&self) -> &str {
        self.call_id.as_str()
    }

    /// What happened on the call, and the ways that its sound took, first to last.
    pub fn keep_history(&self, timeline: &Timeline, media: Vec<String>) {
        let history = StoredHistory { media, ..StoredHistory::of(timeline) };
        let store = &self.chronicle.store;
        store.keep_trace(self.call_id.as_str(), Trace::History, history.format());
    }

    /// Something else that the store knows of calls.
    pub fn tell(&self, fact: Fact, at: Moment) {
        self.chronicle.store.tell(self.call_id.as_str(), fact, self.clock.unix_ms(at));
    }

    /// The call could not be stored: it is refused, and its seat is free.
    pub fn give_up(&self, settings: &CallSettings, seat: Seat, error: &StoreError, now: Moment) {
        let record = refused_record(what_is_known(settings, now), Reason::StorageBehind);
        warn!(%error, cause = %record.cause, "the call cannot be stored and is refused");
        seat.end(&record);
        self.end(&record);
    }

    /// The call is over.
    pub fn end(&self, record: &CallRecord) {
        let line = self.chronicle.records.line(record);
        self.chronicle.end(record, line.clone());
        self.chronicle.records.append(line);
    }
}

/// A call that has not begun, for the record of one that never comes to its own.
pub(super) fn what_is_known(settings: &CallSettings, now: Moment) -> RefusedCall {
    RefusedCall {
        call_id: settings.call_id.clone(),
        stream_id: settings.stream_id.clone(),
        phone_leg_id: settings.phone_leg_id.clone(),
        from: settings.from.clone(),
        to: settings.to.clone(),
        direction: settings.direction,
        phone_dialect: phone_dialect(&settings.phone),
        clock: settings.clock,
        at: now,
    }
}

fn new_call(settings: &CallSettings, callback: CallbackAddress) -> NewCall {
    let parties = match settings.phone {
        PhoneSettings::Vendor { .. } if settings.direction == Direction::Inbound => None,
        _ => Some(StoredParties {
            from: settings.from.as_str().into(),
            to: settings.to.as_str().into(),
            phone_leg_id: settings.phone_leg_id.clone(),
        }),
    };
    NewCall {
        call_id: settings.call_id.as_str().into(),
        stream_id: settings.stream_id.as_str().into(),
        parties,
        direction: settings.direction,
        bot: settings.bot.name.clone(),
        phone_dialect: phone_dialect(&settings.phone).into(),
        bot_dialect: settings.bot.dialect.into(),
        started_ms: crate::clock::unix_ms(),
        callback,
        custom_params: BTreeMap::new(),
        leaves_files: is_agent(settings.bot.dialect),
    }
}

fn phone_dialect(phone: &PhoneSettings) -> &'static str {
    match phone {
        PhoneSettings::Vendor { dialect, .. } => dialect,
        _ => SIP,
    }
}

fn parties(record: &CallRecord) -> StoredParties {
    StoredParties {
        from: record.from.as_str().into(),
        to: record.to.as_str().into(),
        phone_leg_id: record.phone_leg_id.clone(),
    }
}

/// The beginning of a text, at most [`UTTERANCE_BYTES_MAX`] of it.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(UTTERANCE_BYTES_MAX)).unwrap_or(text)
}

/// Utterances of one call that are kept.
pub const UTTERANCES_MAX: u32 = 10_000;

/// Bytes of the words of one utterance that are kept.
pub const UTTERANCE_BYTES_MAX: usize = 16 << 10;
