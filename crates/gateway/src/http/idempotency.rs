//! `Idempotency-Key`: the same request twice is carried out once, and both are answered alike, for 24 hours.
//!
//! The request is carried out in a task of its own: a client that leaves in the middle finds the answer when it comes
//! again. What was refused leaves no answer: the key may come again.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use super::access::Caller;
use super::api::Api;
use super::calls::unavailable;
use super::problem::Problem;
use crate::clock::unix_ms;
use crate::hex::hex;
use crate::store::KeyClaim;

/// What was done: a status, and a JSON body.
pub type Done = (StatusCode, String);

/// Does `work` unless the request came before with the same `Idempotency-Key`; `request` is all that tells two apart.
///
/// # Errors
/// 400 for a bad key, 409 while the first request is being carried out, 422 for another request, 503, and what `work`
/// refuses.
pub async fn once<F>(
    api: &Api,
    caller: &Caller,
    headers: &HeaderMap,
    request: &[&[u8]],
    work: F,
) -> Result<Response, Problem>
where
    F: Future<Output = Result<Done, Problem>> + Send + 'static,
{
    let Some(key) = key(headers)? else { return run(api, work).await.map(|done| answer(&done, false)) };
    let fingerprint = fingerprint(request);
    let scope = caller.0.to_string();
    api.forgetting.forget(api).await;
    let (store, claimed_ms) = (&api.exchange.store, unix_ms());
    let claim = store.claim_key((&scope, &key), &fingerprint, claimed_ms).await;
    if claim.is_err() {
        // It may be written yet, and would be nobody's.
        store.take_back_claim((&scope, &key), claimed_ms);
    }
    match claim.map_err(unavailable)? {
        KeyClaim::Known { fingerprint: other, .. } if other != fingerprint => {
            let detail = "this key came with another request";
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch", detail))
        }
        KeyClaim::Known { answer: Some((status, body)), .. } => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
            Ok(answer(&(status, body), true))
        }
        KeyClaim::Known { answer: None, .. } => {
            let detail = "the first request with this key is being carried out";
            Err(Problem::new(StatusCode::CONFLICT, "idempotency_in_progress", detail).with_retry_after(1))
        }
        KeyClaim::Fresh => {
            let store = api.exchange.store.clone();
            let kept = async move {
                let done = work.await;
                let place = (scope.as_str(), key.as_str());
                let written = match &done {
                    Ok((status, body)) => store.answer_key(place, (status.as_u16(), body), unix_ms()).await,
                    Err(_) => store.release_key(place, unix_ms()).await,
                };
                if let Err(error) = written {
                    tracing::error!(%error, "the answer to an idempotency key is not stored");
                }
                done
            };
            run(api, kept).await.map(|done| answer(&done, false))
        }
    }
}

/// Runs `work` to its end, whether the client waits for it or not.
async fn run(
    api: &Api,
    work: impl Future<Output = Result<Done, Problem>> + Send + 'static,
) -> Result<Done, Problem> {
    let failed = |_| {
        let detail = "the request could not be carried out";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    };
    api.exchange.tasks.spawn("request", work).await.map_err(failed)?
}

fn answer((status, body): &Done, is_replay: bool) -> Response {
    let mut response = (*status, [(CONTENT_TYPE, "application/json")], body.clone()).into_response();
    if is_replay {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if values.next().is_some() || !is_plain || !(1..=KEY_CHARS_MAX).contains(&text.len()) {
        let detail = format!("expected one key of 1 to {KEY_CHARS_MAX} letters, digits and signs");
        return Err(Problem::request_header("bad_header", "Idempotency-Key", detail));
    }
    Ok(Some(text.to_owned()))
}

/// A digest of the parts: a stored body would keep headers with secrets.
fn fingerprint(request: &[&[u8]]) -> String {
    let mut digest = Sha256::new();
    for part in request {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex(&digest.finalize())
}

/// When old keys were forgotten last, ms since 1970.
#[derive(Debug, Default)]
pub struct Forgetting(AtomicU64);

impl Forgetting {
    /// Forgets what is older than a day, now and then.
    async fn forget(&self, api: &Api) {
        let (now, last) = (unix_ms(), self.0.load(Ordering::Relaxed));
        let is_due = now.saturating_sub(last) >= FORGET_INTERVAL_MS;
        if is_due && self.0.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let oldest = now.saturating_sub(u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX));
            if let Err(error) = api.exchange.store.forget_keys(oldest, now).await {
                tracing::warn!(%error, "old idempotency keys are not forgotten");
            }
        }
    }
}

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Says that an answer is a stored one.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Characters of a key.
const KEY_CHARS_MAX: usize = 255;
/// How long a key is remembered.
const KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How often old keys are looked for, in milliseconds.
const FORGET_INTERVAL_MS: u64 = 600_000;
