//! Idempotency keys: a request that comes again gets the answer of the first time.

use super::StoreError;
use super::engine::{Link, Query};

/// What a key stands for when somebody comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyClaim {
    /// Nobody came with it before: it is the caller's now.
    Fresh,
    /// Somebody did.
    Known {
        /// What that request was.
        fingerprint: String,
        /// What it was answered, once that is known: status and body.
        answer: Option<(u16, String)>,
    },
}

pub(super) async fn claim(
    link: &mut Link,
    (scope, name): (&str, &str),
    fingerprint: &str,
    (server, at_ms): (&str, u64),
) -> Result<KeyClaim, StoreError> {
    let fresh = Query::new(
        "INSERT INTO idempotency_keys (scope, name, fingerprint, claimed_ms, server) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (scope, name) DO NOTHING",
    );
    if fresh.text(scope).text(name).text(fingerprint).whole(at_ms).text(server).execute(link).await? > 0 {
        return Ok(KeyClaim::Fresh);
    }
    let known = Query::new(
        "SELECT fingerprint, answer_status, answer_body FROM idempotency_keys WHERE scope = $1 AND name = $2",
    );
    let Some(mut row) = known.text(scope).text(name).row(link).await? else { return Ok(KeyClaim::Fresh) };
    let fingerprint = row.text()?;
    let status = row.maybe_whole()?.and_then(|status| u16::try_from(status).ok());
    Ok(KeyClaim::Known { fingerprint, answer: status.zip(row.maybe_text()?) })
}

pub(super) async fn answer(
    link: &mut Link,
    (scope, name): (&str, &str),
    status: u16,
    body: &str,
) -> Result<bool, StoreError> {
    let query = Query::new(
        "UPDATE idempotency_keys SET answer_status = $3, answer_body = $4 WHERE scope = $1 AND name = $2",
    );
    Ok(query.text(scope).text(name).whole(status.into()).text(body).execute(link).await? > 0)
}

pub(super) async fn release(link: &mut Link, (scope, name): (&str, &str)) -> Result<bool, StoreError> {
    let query =
        Query::new("DELETE FROM idempotency_keys WHERE scope = $1 AND name = $2 AND answer_status IS NULL");
    Ok(query.text(scope).text(name).execute(link).await? > 0)
}

/// Undoes the claim that a server made at that moment, if it has no answer.
pub(super) async fn take_back(
    link: &mut Link,
    (scope, name): (&str, &str),
    (server, claimed_ms): (&str, u64),
) -> Result<bool, StoreError> {
    let query = Query::new(
        "DELETE FROM idempotency_keys WHERE scope = $1 AND name = $2 AND server = $3 AND claimed_ms = $4 \
         AND answer_status IS NULL",
    );
    Ok(query.text(scope).text(name).text(server).whole(claimed_ms).execute(link).await? > 0)
}

/// Gives all keys free that a server came with and that have no answer.
pub(super) async fn release_open(link: &mut Link, server: &str) -> Result<bool, StoreError> {
    let query = Query::new("DELETE FROM idempotency_keys WHERE server = $1 AND answer_status IS NULL");
    Ok(query.text(server).execute(link).await? > 0)
}

pub(super) async fn forget(link: &mut Link, before_ms: u64) -> Result<bool, StoreError> {
    let query = Query::new("DELETE FROM idempotency_keys WHERE claimed_ms < $1");
    Ok(query.whole(before_ms).execute(link).await? > 0)
}
