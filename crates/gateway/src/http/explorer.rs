//! `/docs`, the API to look at and to try, and `/openapi.json`.
//!
//! A browser gets the dashboard's screen; a program, and a build without the dashboard, every request on a line.

use std::fmt::Write;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::OpenApi;

use super::api::Api;
use super::dashboard;

/// Both addresses.
pub fn router(document: &OpenApi) -> Router<Api> {
    let list = Bytes::from(list(document));
    let document = Bytes::from(super::openapi::text(document));
    let docs = async move |api: State<Api>, headers: HeaderMap| {
        let plain = || ([(CONTENT_TYPE, "text/plain; charset=utf-8")], list).into_response();
        dashboard::page_or(&api, &headers, plain)
    };
    Router::new()
        .route("/openapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], document)))
        .route("/docs", get(docs.clone()))
        .route("/docs/", get(docs))
}

/// Every request on a line.
fn list(document: &OpenApi) -> String {
    let mut text = "The API of Patchcord. What each request takes and answers: /openapi.json\n\n".to_owned();
    for (path, item) in &document.paths.paths {
        let operations =
            [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put), ("DELETE", &item.delete)];
        for (method, operation) in operations {
            if let Some(operation) = operation {
                let summary = operation.summary.as_deref().unwrap_or_default();
                // Writing into memory does not fail.
                let _ = writeln!(text, "{method:<7}{path:<42}{summary}");
            }
        }
    }
    text
}
