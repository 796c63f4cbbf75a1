//! `/calls/{call_id}/recording` and what belongs to it: the files, their notes, the loudness curve, and orders to
//! record a call that is up.

mod access;
mod commands;
mod files;
mod notes;
mod range;

use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::require;
use super::api::Api;
use super::problem::Problem;
use crate::config::Role;
use crate::recording::{CatalogueError, RecordedCall};
use crate::tasks::blocking;

pub use notes::ShownRecording;

/// All of them behind their guards.
pub fn resources(api: &Api) -> OpenApiRouter<Api> {
    let guarded = |role: Role, routes: OpenApiRouter<Api>| {
        routes.route_layer(from_fn_with_state((api.clone(), role), require))
    };
    let linked = OpenApiRouter::new()
        .routes(routes!(files::recording))
        .routes(routes!(files::full_recording))
        .routes(routes!(files::piece));
    linked
        .route_layer(from_fn_with_state(api.clone(), access::require_link_or_reader))
        .merge(guarded(
            Role::Reader,
            OpenApiRouter::new().routes(routes!(notes::recordings)).routes(routes!(notes::loudness)),
        ))
        .merge(guarded(Role::Operator, OpenApiRouter::new().routes(routes!(commands::order))))
        .merge(guarded(Role::Admin, OpenApiRouter::new().routes(routes!(commands::delete))))
}

/// What is known of a call's recordings.
async fn find(api: &Api, call_id: String) -> Result<RecordedCall, Problem> {
    let catalogue = api.exchange.studio.recorder.catalogue().clone();
    match blocking(move || catalogue.find(&call_id)).await {
        Some(Ok(Some(call))) => Ok(call),
        Some(Ok(None) | Err(CatalogueError::NoCall)) => {
            Err(Problem::new(StatusCode::NOT_FOUND, "no_recording", "this call has no recording"))
        }
        Some(Err(error)) => Err(unreadable(&error)),
        None => Err(unreadable(&"the reader has failed")),
    }
}

fn unreadable(error: &dyn std::fmt::Display) -> Problem {
    tracing::error!(%error, "a recording cannot be read");
    let detail = "the recording cannot be read at this moment";
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "recording_unavailable", detail).with_retry_after(5)
}
