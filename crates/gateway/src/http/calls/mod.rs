//! `/calls`: calls that are up and calls that were; what may be done with those that are up.

pub mod commands;
pub mod export;
pub mod fields;
mod filter;
pub mod list;
pub mod listen;
pub mod place;
mod row;
pub mod show;
pub mod timeline;
pub mod transcript;
mod view;

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use patchcord_core::vocabulary::CallId;

use super::api::Api;
use super::problem::Problem;
use crate::store::{StoreError, StoredCall};

/// The id in a path, in plain characters.
pub struct CallName(pub String);

impl<S: Send + Sync> FromRequestParts<S> for CallName {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| unknown())?;
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if is_plain && id.len() <= CALL_ID_BYTES_MAX { Ok(Self(id)) } else { Err(unknown()) }
    }
}

/// The call of that id.
///
/// # Errors
/// 404, 503.
pub async fn find(api: &Api, call_id: &str) -> Result<StoredCall, Problem> {
    api.exchange.store.find_call(call_id).await.map_err(unavailable)?.ok_or_else(unknown)
}

/// Our own form of an id that somebody names.
fn own_id(call_id: &str) -> CallId {
    CallId::from_wire(call_id)
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_call", "no call has this id")
}

/// What the store cannot do at this moment.
pub fn unavailable(error: StoreError) -> Problem {
    tracing::error!(%error, "the store does not answer");
    let detail = "the database does not answer at this moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail).with_retry_after(1)
}

/// Bytes of an id: longer ones are nobody's.
pub const CALL_ID_BYTES_MAX: usize = 128;
