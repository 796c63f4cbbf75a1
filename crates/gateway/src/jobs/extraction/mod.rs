//! Takes fields from the transcripts of agents' calls: while a call goes on, and once of the whole; then the agent's
//! webhook is told what came of the call.
//!
//! What is to be done stands in the database, so a crash loses nothing: an attempt is made again, a webhook is told
//! once. Of a call one extraction is under way at a time, and the end of the call comes before all that went before it.
//! A service has so many calls at a time and no more: one that hangs holds up nobody else's.

mod completion;
mod found;
mod lanes;
mod meter;
mod prompt;
mod setback;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use lanes::{EXTRACTIONS_MAX, EXTRACTIONS_PER_SERVICE_MAX, TELLINGS_MAX};
pub use meter::ExtractionMeter;
pub use setback::Setback;

use super::due_work::{DueWork, UnderWay, until_stored, work_off};
use crate::clock::unix_ms;
use crate::config::{AgentSettings, Config, CurrentConfig, Extract};
use crate::net::{Egress, HttpRequest, HttpTerms, Trust, send};
use crate::store::{
    DueExtraction, ExtractedFields, ExtractionKind, ExtractionOutcome, ExtractionState, NewWebhook, Store,
    StoreError, StoredCall, WithoutRoom,
};
use lanes::{Lane, Lanes};

/// What extracting needs.
#[derive(Clone)]
pub struct Extractor {
    /// Where the orders are, and what was said.
    pub store: Store,
    /// The settings in effect.
    pub current: CurrentConfig,
    /// The way out.
    pub egress: Egress,
    /// Where attempts are counted.
    pub meter: Arc<ExtractionMeter>,
    /// Who writes down what came of a call.
    pub result: Arc<ResultWriter>,
}

/// Brings the call data of a call that is over up to date, and returns it: JSON. `None` for a call that has none.
pub type ResultWriter = dyn Fn(String) -> Writing + Send + Sync;

/// Call data that is being written.
pub type Writing = Pin<Box<dyn Future<Output = anyhow::Result<Option<String>>> + Send>>;

impl Extractor {
    /// Extracts what is ordered until it is told to stop; attempts that are under way then have a moment to end.
    pub async fn run(self, stop: CancellationToken) {
        work_off(Orders { extractor: self, lanes: Lanes::default() }, stop).await;
    }

    /// Carries out one order, or what is left of it; returns its call. A live one ends early when `hurry` says so.
    async fn carry_out(self, due: DueExtraction, hurry: CancellationToken) -> String {
        let call_id = due.call_id.clone();
        if due.state != ExtractionState::Pending {
            self.tell(due).await;
            return call_id;
        }
        tokio::select! {
            outcome = self.attempt(&due) => self.settle(due, outcome).await,
            () = hurry.cancelled() => {}
        }
        call_id
    }

    async fn settle(&self, due: DueExtraction, outcome: Result<ExtractionOutcome, StoreError>) {
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                warn!(call = %due.call_id, %error, "an extraction waits: the store cannot be read");
                // Due again at once, it would be tried as fast as it can be.
                tokio::time::sleep(STORE_RETRY).await;
                return;
            }
        };
        let now = unix_ms();
        let stored = || self.store.extraction_attempted(due.clone(), outcome.clone(), now);
        let counted = until_stored(&due.call_id, stored).await;
        if counted && outcome.state == ExtractionState::Dead && due.kind == ExtractionKind::Final {
            self.meter.count_dead();
            let why = outcome.error.as_deref().unwrap_or_default();
            warn!(call = %due.call_id, why, "an extraction was given up: `patchcord calls extract` tries it again");
        }
    }

    /// One attempt at what is pending.
    async fn attempt(&self, due: &DueExtraction) -> Result<ExtractionOutcome, StoreError> {
        let config = self.current.snapshot();
        let call = self.store.find_call(&due.call_id).await?;
        let agent = call.as_ref().and_then(|call| agent_of(&config, call));
        let wish = agent.and_then(|agent| agent.extract.as_ref());
        let wish = wish.filter(|wish| wish.live || due.kind == ExtractionKind::Final);
        let (Some(call), Some(wish)) = (call, wish) else { return Ok(over(ExtractionState::Off, None)) };
        let said = self.store.utterances_of(&due.call_id).await?;
        if !prompt::is_worth_asking(&said) {
            return Ok(over(ExtractionState::Done, Some(found::nothing(&wish.schema, due.kind))));
        }
        info!(call = %due.call_id, kind = due.kind.word(), utterances = said.len(), "extraction started");
        let began = Instant::now();
        let answer = match prompt::question(&wish.model, &wish.schema, call.started_ms, &said) {
            Ok(body) => self.ask(wish, body).await,
            Err(setback) => Err(setback),
        };
        self.meter.count(due.kind, answer.as_ref().err(), began.elapsed());
        match answer {
            Ok(fields) => {
                let found = found::found(fields, due.kind);
                Ok(over(ExtractionState::Done, Some(found)))
            }
            Err(setback) => self.set_back(due, wish, &setback).await,
        }
    }

    async fn ask(
        &self,
        wish: &Extract,
        body: bytes::Bytes,
    ) -> Result<serde_json::Map<String, serde_json::Value>, Setback> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(key) = &wish.api_key
            && let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
        {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let request = HttpRequest { method: Method::POST, url: &wish.url, headers, body };
        let deadline = Instant::now() + wish.timeout;
        // The address stands in the operator's own file.
        let terms = HttpTerms { trust: &Trust::Operator, deadline, body_bytes_max: ANSWER_BYTES_MAX };
        let answer = send(&self.egress, request, terms).await.map_err(|error| Setback::of(&error))?;
        completion::read(&answer, &wish.schema)
    }

    async fn set_back(
        &self,
        due: &DueExtraction,
        wish: &Extract,
        setback: &Setback,
    ) -> Result<ExtractionOutcome, StoreError> {
        let error = Some(setback.to_string().into());
        if let Some(wait) = setback.wait(due.attempts.saturating_add(1)) {
            let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            let next_at_ms = Some(unix_ms().saturating_add(wait));
            return Ok(ExtractionOutcome { state: ExtractionState::Pending, error, next_at_ms, found: None });
        }
        let found = match due.kind {
            // What was found before is known still; the end of the call is to come.
            ExtractionKind::Live => None,
            ExtractionKind::Final => {
                let before = self.store.fields_of(&due.call_id).await?;
                Some(found::failed(&wish.schema, before.map(|before| before.fields), setback))
            }
        };
        Ok(ExtractionOutcome { error, ..over(ExtractionState::Dead, found) })
    }

    /// Tells what came of a call whose last extraction is over.
    async fn tell(&self, due: DueExtraction) {
        let body = match (self.result)(due.call_id.clone()).await {
            Ok(body) => body,
            Err(error) => {
                let error = format!("{error:#}");
                warn!(call = %due.call_id, error, "what came of a call waits: it cannot be written down");
                return tokio::time::sleep(STORE_RETRY).await;
            }
        };
        let config = self.current.snapshot();
        let call = until_stored(&due.call_id, || self.store.find_call(&due.call_id)).await;
        let agent = call.as_ref().and_then(|call| agent_of(&config, call));
        let to = agent.and_then(|agent| agent.webhook.as_ref());
        let webhook = to
            .zip(body)
            .map(|(to, body)| NewWebhook { url: to.url.as_uri().to_string().into(), body: body.into() });
        let now = unix_ms();
        let told = || self.store.tell_extraction(due.clone(), webhook.clone(), now);
        until_stored(&due.call_id, told).await;
    }
}

impl fmt::Debug for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Extractor")
    }
}

/// Orders that are due, and those that are under way.
struct Orders {
    extractor: Extractor,
    lanes: Lanes,
}

impl DueWork for Orders {
    type Done = String;

    const NAME: &'static str = "extractions";

    fn store(&self) -> &Store {
        &self.extractor.store
    }

    async fn start_due(&mut self, attempts: &mut UnderWay<String>) -> Result<Option<u64>, StoreError> {
        for ended in self.extractor.store.ended_of(&self.lanes.live()).await? {
            self.lanes.hurry(&ended);
        }
        let (now, config) = (unix_ms(), self.extractor.current.snapshot());
        let mut without_room = WithoutRoom::default();
        loop {
            let due = self.extractor.store.due_extractions(now, LOOK, &without_room).await?;
            let mut left_for_later = false;
            for order in due {
                // Those that are under way are due as well.
                if self.lanes.is_under_way(&order.call_id) {
                    continue;
                }
                let lane = self.lane_of(&config, &order).await?;
                if self.lanes.has_room(&lane) {
                    let hurry = self.lanes.enter(&order, lane);
                    attempts.push(Box::pin(self.extractor.clone().carry_out(order, hurry)));
                } else {
                    lane.leave_out(order, &mut without_room);
                    left_for_later = true;
                }
            }
            // Each further look leaves out more of what has no room, so that what stands behind it is found.
            if !left_for_later {
                break;
            }
        }
        self.extractor.store.next_extraction_ms(now).await
    }

    fn end(&mut self, call_id: String) {
        self.lanes.leave(&call_id);
    }

    fn show_under_way(&self, attempts: usize) {
        self.extractor.meter.show_under_way(attempts);
    }
}

impl Orders {
    async fn lane_of(&self, config: &Config, order: &DueExtraction) -> Result<Lane, StoreError> {
        let agent = agent_named(config, &order.bot);
        if agent.is_some() || order.state != ExtractionState::Pending {
            return Ok(Lane::of(order, agent));
        }
        // Its agent gave the call on to a bot that is none.
        let call = self.extractor.store.find_call(&order.call_id).await?;
        Ok(Lane::of(order, call.as_ref().and_then(|call| agent_of(config, call))))
    }
}

/// The agent that had `call`, the last one if there were several; `None` if the settings have it no more.
pub fn agent_of<'a>(config: &'a Config, call: &StoredCall) -> Option<&'a AgentSettings> {
    #[derive(Default, Deserialize)]
    struct Line {
        bots: Vec<String>,
    }
    let line: Line =
        call.record.as_deref().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
    let names = std::iter::once(&call.bot).chain(line.bots.iter().rev());
    let mut agents = names.filter_map(|name| agent_named(config, name));
    agents.next()
}

fn agent_named<'a>(config: &'a Config, name: &str) -> Option<&'a AgentSettings> {
    config.bots.iter().find(|bot| bot.name == name).and_then(|bot| bot.agent.as_deref())
}

/// An order that is over.
fn over(state: ExtractionState, found: Option<ExtractedFields>) -> ExtractionOutcome {
    ExtractionOutcome { state, error: None, next_at_ms: None, found }
}

/// Orders that one look into the table finds: more than are under way, which are found again.
const LOOK: usize = EXTRACTIONS_MAX + TELLINGS_MAX + 64;

/// Bytes of a service's answer.
const ANSWER_BYTES_MAX: usize = 256 << 10;

/// How long a store that does not answer is left alone.
const STORE_RETRY: Duration = Duration::from_secs(1);
