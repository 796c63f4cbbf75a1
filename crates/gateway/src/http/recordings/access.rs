//! Who may fetch a recording: whoever has a key, or a link that this server has signed and that has not expired.

use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::super::access::require;
use super::super::api::Api;
use super::super::problem::Problem;
use crate::clock::unix_ms;
use crate::config::Role;
use crate::recording::LinkError;

/// What a signed link carries.
#[derive(Deserialize)]
struct Signed {
    expires: u64,
    signature: String,
}

/// Lets a signed link through, and without a signature whoever may read.
pub(super) async fn require_link_or_reader(State(api): State<Api>, request: Request, next: Next) -> Response {
    let query = request.uri().query().unwrap_or_default();
    if !query.split('&').any(|pair| pair.starts_with("signature=")) {
        return require(State((api, Role::Reader)), request, next).await;
    }
    let refuse = |code, detail| Problem::new(StatusCode::FORBIDDEN, code, detail).into_response();
    let Ok(Query(signed)) = Query::<Signed>::try_from_uri(request.uri()) else {
        return refuse("bad_link", "the link is not whole");
    };
    let links = &api.exchange.studio.links;
    match links.check(request.uri().path(), signed.expires, &signed.signature, unix_ms() / 1_000) {
        Ok(()) => next.run(request).await,
        Err(LinkError::Expired) => refuse("link_expired", "the link has expired: ask for another one"),
        Err(LinkError::Forged) => refuse("bad_link", "the link was not made by this server"),
    }
}
