//! `/docs`, the API to look at and to try, and `/openapi.json`; everything comes out of the binary.

use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use super::api::Api;
use super::problem::Problem;

/// Both addresses.
pub fn router(document: &OpenApi) -> Router<Api> {
    let document = Bytes::from(super::openapi::text(document));
    // The other layout has a bar with styles of its own, which the policy forbids.
    let settings = Arc::new(Config::from("/openapi.json").try_it_out_enabled(true).use_base_layout());
    let file = move |path: &str| explorer_file(path, &settings);
    let (index, other) = (file.clone(), file);
    Router::new()
        .route("/openapi.json", get(async move || ([(CONTENT_TYPE, "application/json")], document)))
        .route("/docs", get(async || Redirect::permanent("/docs/")))
        .route("/docs/", get(async move || index("index.html")))
        .route("/docs/{file}", get(async move |Path(path): Path<String>| other(&path)))
}

fn explorer_file(path: &str, settings: &Arc<Config<'static>>) -> Response {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(path, settings.clone()) else {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this address")
            .into_response();
    };
    let mut headers = HeaderMap::new();
    if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
        headers.insert(CONTENT_TYPE, kind);
    }
    if file.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    (headers, file.bytes.into_owned()).into_response()
}

/// What the page may do: its own files, its own server, nothing else. Pictures of the explorer stand in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
