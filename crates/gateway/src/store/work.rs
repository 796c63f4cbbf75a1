//! What can be written, and what comes back of it.

use super::call::{NewCall, StoredCall};
use super::course::Fact;
use super::deliveries::{self, AttemptOutcome, Attempted};
use super::drafts::Drafts;
use super::engine::{Link, Query};
use super::extractions::{self, DueExtraction, ExtractionOutcome, NewWebhook};
use super::keys::{self, KeyClaim};
use super::queue::Entry;
use super::talk::Beside;
use super::traces::{self, Left, Trace};
use super::{EventBody, StoreError};

/// One write.
pub(super) enum Work {
    Begin(Box<NewCall>),
    Fact(Box<str>, Box<Fact>),
    Trace { call_id: Box<str>, trace: Trace, document: Box<str> },
    Beside(Box<str>, Box<Beside>),
    Attempt { event_id: Box<str>, outcome: AttemptOutcome, next_at_ms: Option<u64> },
    Replay(Box<str>),
    ExtractionAttempt(Box<(DueExtraction, ExtractionOutcome)>),
    TellExtraction(Box<(DueExtraction, Option<NewWebhook>)>),
    ExtractAgain(Box<str>),
    ClaimKey { scope: Box<str>, name: Box<str>, fingerprint: Box<str> },
    AnswerKey { scope: Box<str>, name: Box<str>, status: u16, body: Box<str> },
    ReleaseKey { scope: Box<str>, name: Box<str> },
    TakeBackClaim { scope: Box<str>, name: Box<str> },
    ReleaseOpenKeys,
    ForgetKeys { before_ms: u64 },
    Set { name: Box<str>, value: Box<str> },
}

impl Work {
    /// The call that it writes about.
    fn call_id(&self) -> Option<&str> {
        match self {
            Self::Begin(new) => Some(&new.call_id),
            Self::Fact(call_id, _) | Self::Beside(call_id, _) => Some(call_id),
            // It stands beside the call's row, which is neither read nor changed.
            Self::Trace { .. }
            | Self::Attempt { .. }
            | Self::Replay(_)
            | Self::ExtractionAttempt(_)
            | Self::TellExtraction(_)
            | Self::ExtractAgain(_)
            | Self::ClaimKey { .. }
            | Self::AnswerKey { .. }
            | Self::ReleaseKey { .. }
            | Self::TakeBackClaim { .. }
            | Self::ReleaseOpenKeys
            | Self::ForgetKeys { .. }
            | Self::Set { .. } => None,
        }
    }

    /// Whether it is taken however many wait: what a call tells, and the end of a request.
    pub(super) fn finds_room(&self) -> bool {
        self.call_id().is_some() || matches!(self, Self::AnswerKey { .. } | Self::ReleaseKey { .. })
    }
}

/// What came of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Done {
    Written,
    /// Whether there was anything of that name.
    Found(bool),
    Claimed(KeyClaim),
}

/// What a batch needs to know of the server.
pub(super) struct Scribe {
    pub(super) server: String,
    pub(super) body: Box<EventBody>,
}

impl Scribe {
    /// Writes a batch inside the transaction that is open, and says what came of each entry.
    pub(super) async fn write(&self, link: &mut Link, batch: &[Entry]) -> Result<Vec<Done>, StoreError> {
        let mut drafts = Drafts::of(link, batch.iter().filter_map(|entry| entry.work.call_id())).await?;
        let mut attempted = deliveries::attempted(link, &attempts_of(batch)).await?.into_iter();
        let mut done = Vec::with_capacity(batch.len());
        let mut left = Vec::new();
        for Entry { work, at_ms, .. } in batch {
            done.push(match work {
                Work::Begin(new) => {
                    drafts.begin(StoredCall::begun(new, &self.server), &*self.body);
                    if new.leaves_files {
                        drafts.add(&new.call_id, &Beside::LeavesFiles, *at_ms);
                    }
                    Done::Written
                }
                Work::Fact(call_id, fact) => Done::Found(drafts.change(call_id, fact, *at_ms, &*self.body)),
                Work::Trace { call_id, trace, document } => {
                    left.push(Left { call_id, trace: *trace, document });
                    Done::Written
                }
                Work::Beside(call_id, beside) => Done::Found(drafts.add(call_id, beside, *at_ms)),
                Work::Attempt { .. } => Done::Found(attempted.next().unwrap_or(false)),
                Work::Replay(event_id) => Done::Found(deliveries::replay(link, event_id, *at_ms).await?),
                Work::ExtractionAttempt(attempt) => {
                    let (due, outcome) = &**attempt;
                    Done::Found(extractions::attempted(link, due, outcome, *at_ms).await?)
                }
                Work::TellExtraction(told) => {
                    let (due, webhook) = &**told;
                    Done::Found(extractions::tell(link, due, webhook.as_ref(), *at_ms).await?)
                }
                Work::ExtractAgain(call_id) => {
                    Done::Found(extractions::order_again(link, call_id, *at_ms).await?)
                }
                Work::ClaimKey { scope, name, fingerprint } => Done::Claimed(
                    keys::claim(link, (scope, name), fingerprint, (&self.server, *at_ms)).await?,
                ),
                Work::AnswerKey { scope, name, status, body } => {
                    Done::Found(keys::answer(link, (scope, name), *status, body).await?)
                }
                Work::ReleaseKey { scope, name } => Done::Found(keys::release(link, (scope, name)).await?),
                Work::TakeBackClaim { scope, name } => {
                    Done::Found(keys::take_back(link, (scope, name), (&self.server, *at_ms)).await?)
                }
                Work::ReleaseOpenKeys => Done::Found(keys::release_open(link, &self.server).await?),
                Work::ForgetKeys { before_ms } => Done::Found(keys::forget(link, *before_ms).await?),
                Work::Set { name, value } => {
                    set(link, name, value).await?;
                    Done::Written
                }
            });
        }
        drafts.flush(link).await?;
        traces::keep(link, &left).await?;
        Ok(done)
    }
}

/// The attempts at deliveries that a batch tells of.
fn attempts_of(batch: &[Entry]) -> Vec<Attempted<'_>> {
    let attempts = batch.iter().filter_map(|Entry { work, at_ms, .. }| match work {
        Work::Attempt { event_id, outcome, next_at_ms } => {
            Some(Attempted { event_id, outcome, next_at_ms: *next_at_ms, at_ms: *at_ms })
        }
        _ => None,
    });
    attempts.collect()
}

async fn set(link: &mut Link, name: &str, value: &str) -> Result<(), StoreError> {
    Query::new(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    )
    .text(name)
    .text(value)
    .execute(link)
    .await
    .map(|_| ())
}
