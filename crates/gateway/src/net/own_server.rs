//! A request of a program of this house (`doctor`, `calls`) to a server that runs: bounded, with a key if there is one.

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use tokio::time::Instant;

use super::egress::{Egress, Trust};
use super::http_client::{HttpRequest, HttpTerms, send};
use crate::config::{Secret, WebUrl};

/// A server that runs.
#[derive(Debug, Clone)]
pub struct OwnServer {
    /// Where; its path does not count.
    pub url: WebUrl,
    /// What it is shown, if it asks for something.
    pub key: Option<Secret>,
}

impl OwnServer {
    /// Asks for `path` (without a slash in front), with a JSON body if there is one. Returns the status and the body.
    ///
    /// # Errors
    /// A sentence that says at which step it failed.
    pub async fn ask(
        &self,
        egress: &Egress,
        method: Method,
        path: &str,
        body: Option<String>,
    ) -> Result<(u16, Bytes), String> {
        let scheme = if self.url.is_tls() { "https" } else { "http" };
        let url = WebUrl::parse(&format!("{scheme}://{}/{path}", self.url.authority()))
            .map_err(|refusal| refusal.what)?;
        let mut headers = HeaderMap::new();
        if let Some(key) = &self.key {
            let mut presented = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
                .map_err(|_| "the key has characters that no header can carry".to_owned())?;
            presented.set_sensitive(true);
            headers.insert(AUTHORIZATION, presented);
        }
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request =
            HttpRequest { method, url: &url, headers, body: body.map(Bytes::from).unwrap_or_default() };
        let deadline = Instant::now() + PATIENCE;
        let terms = HttpTerms { trust: &Trust::Operator, deadline, body_bytes_max: ANSWER_BYTES_MAX };
        let answer = send(egress, request, terms).await.map_err(|error| error.to_string())?;
        Ok((answer.status.as_u16(), answer.body))
    }
}

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 4 << 20;
