//! `/session`: a browser shows a key once and has a cookie from then on, which only the server reads.
//!
//! A session is as good as its key: it ends with it, and what the key may do changes with the configuration. Sessions
//! live in this process: after a restart people log in again.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use patchcord_core::vocabulary::iso8601;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::access::{self, client_address};
use super::api::Api;
use super::body::RawJson;
use super::limits::Asker;
use super::openapi::{BodyProblems, KeyProblems};
use super::problem::Problem;
use crate::clock::unix_ms;
use crate::config::{ApiKey, Config, Role};
use crate::hex::hex;

/// The sessions of this process, by the hash of their ids: what stands here opens nothing.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<HashMap<Hash, Session>>);

/// SHA-256 of a key or of a session's id.
pub type Hash = [u8; 32];

#[derive(Debug, Clone)]
struct Session {
    /// The key that was shown, by name and hash.
    key_name: String,
    key_hash: Hash,
    expires_ms: u64,
}

/// Who is logged in.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// Whether the configuration has keys; without them everybody on this machine may do everything.
    keys: bool,
    /// The name of the key that was shown; absent for somebody who showed none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "ops")]
    name: Option<String>,
    /// What it opens: `reader`, `operator` or `admin`; absent for somebody who may do nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "operator")]
    role: Option<&'static str>,
    /// When the session ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The version of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// The server's name in its configuration.
    #[schema(example = "delhi")]
    server: String,
}

/// A key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShownKey {
    /// One of `[[http.keys]]`.
    #[schema(value_type = String, max_length = 1024)]
    key: String,
}

/// Who is logged in
#[utoipa::path(
    get,
    path = "/session",
    operation_id = "show_session",
    tag = "watch",
    security(()),
    responses((status = 200, description = "Who asks", body = SessionView), KeyProblems),
)]
pub async fn show(State(api): State<Api>, request: Request) -> Result<Json<SessionView>, Problem> {
    let config = api.exchange.config();
    if config.http.keys.is_empty() {
        access::check_is_no_page(request.headers())?;
        return Ok(Json(view(&config, None, None)));
    }
    let found = api.sessions.find(&config, request.headers(), unix_ms());
    let (key, expires_ms) = found.unzip();
    let key = key.or_else(|| access::find(&config.http.keys, access::bearer(request.headers())?));
    Ok(Json(view(&config, key, expires_ms)))
}

/// Log in
///
/// The answer sets a cookie for 12 hours, which opens what the key opens. Requests with it that change something must
/// come from this server's own pages.
#[utoipa::path(
    post,
    path = "/session",
    operation_id = "log_in",
    tag = "watch",
    security(()),
    request_body = ShownKey,
    responses((status = 200, description = "Who is logged in", body = SessionView), KeyProblems, BodyProblems),
)]
pub async fn log_in(State(api): State<Api>, request: Request) -> Result<Response, Problem> {
    let config = api.exchange.config();
    check_origin(&config, request.headers())?;
    let address = client_address(&config, &request);
    let body = <RawJson as axum::extract::FromRequest<Api>>::from_request(request, &api).await?;
    let ShownKey { key } = body.parse()?;
    if config.http.keys.is_empty() {
        return Ok(Json(view(&config, None, None)).into_response());
    }
    // Right and wrong keys cost the same: nobody guesses faster than this.
    api.rates.take(Asker::Stranger(address))?;
    let Some(found) = access::find(&config.http.keys, &key) else {
        return Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "key_required",
            "no key of this server is like that",
        ));
    };
    let now_ms = unix_ms();
    let Ok((id, session)) = api.sessions.begin(found, now_ms) else {
        return Err(Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "no_randomness",
            "the system gives no random numbers",
        ));
    };
    let seen = view(&config, Some(found), Some(session.expires_ms));
    let cookie = cookie(&config, &id, SESSION_S);
    Ok(([(SET_COOKIE, cookie)], Json(seen)).into_response())
}

/// Log out
#[utoipa::path(
    delete,
    path = "/session",
    operation_id = "log_out",
    tag = "watch",
    security(()),
    responses((status = 204, description = "The session is over, if there was one"), KeyProblems),
)]
pub async fn log_out(State(api): State<Api>, headers: HeaderMap) -> Result<Response, Problem> {
    let config = api.exchange.config();
    check_origin(&config, &headers)?;
    api.sessions.end(&config, &headers);
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie(&config, "", 0))]).into_response())
}

fn check_origin(config: &Config, headers: &HeaderMap) -> Result<(), Problem> {
    if config.http.keys.is_empty() {
        access::check_is_no_page(headers)
    } else {
        access::check_own_page(config, headers)
    }
}

fn view(config: &Config, key: Option<&ApiKey>, expires_ms: Option<u64>) -> SessionView {
    let keys = !config.http.keys.is_empty();
    let role = if keys { key.map(|key| key.role) } else { Some(Role::Admin) };
    SessionView {
        keys,
        name: key.map(|key| key.name.clone()),
        role: role.map(Role::word),
        expires_at: expires_ms.map(iso8601),
        version: env!("CARGO_PKG_VERSION"),
        server: config.server.id.clone(),
    }
}

impl Sessions {
    /// Begins a session for whoever showed `key`; gives its id, which is nowhere else.
    fn begin(&self, key: &ApiKey, now_ms: u64) -> Result<(String, Session), getrandom::Error> {
        let mut id = [0; 32];
        getrandom::fill(&mut id)?;
        let id = hex(&id);
        let expires_ms = now_ms + SESSION_S * 1_000;
        let session = Session { key_name: key.name.clone(), key_hash: hash(key.key.expose()), expires_ms };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= SESSIONS_MAX {
            sessions.retain(|_, session| session.expires_ms > now_ms);
        }
        if sessions.len() >= SESSIONS_MAX {
            let oldest = sessions.iter().min_by_key(|(_, session)| session.expires_ms).map(|(id, _)| *id);
            oldest.map(|id| sessions.remove(&id));
        }
        sessions.insert(hash(&id), session.clone());
        Ok((id, session))
    }

    /// The key behind the session of a request, as long as it stands in the configuration, and when the session ends.
    pub fn find<'a>(
        &self,
        config: &'a Config,
        headers: &HeaderMap,
        now_ms: u64,
    ) -> Option<(&'a ApiKey, u64)> {
        self.key_of(config, &shown(config, headers)?, now_ms)
    }

    /// The same by the hash of the session's id.
    pub fn key_of<'a>(&self, config: &'a Config, id: &Hash, now_ms: u64) -> Option<(&'a ApiKey, u64)> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = sessions.get(id).filter(|session| session.expires_ms > now_ms)?;
        let keys = config.http.keys.iter();
        let key = keys
            .filter(|key| key.name == session.key_name)
            .find(|key| hash(key.key.expose()) == session.key_hash)?;
        Some((key, session.expires_ms))
    }

    fn end(&self, config: &Config, headers: &HeaderMap) {
        if let Some(id) = shown(config, headers) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        }
    }
}

/// What is kept of a key or of a session's id.
pub fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

/// The hash of the id of the session that a request comes with.
pub fn shown(config: &Config, headers: &HeaderMap) -> Option<Hash> {
    let name = cookie_name(config);
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, id)| hash(id))
}

/// Cookies know no ports: two servers on one machine would take each other's.
fn cookie_name(config: &Config) -> String {
    format!("patchcord_{}", config.http.listen.port())
}

fn cookie(config: &Config, id: &str, seconds: u64) -> HeaderValue {
    let secure = if config.http.tls.is_some() || config.http.behind_proxy { "; Secure" } else { "" };
    let name = cookie_name(config);
    let text = format!("{name}={id}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    // Digits, letters and signs of our own.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// How long a session lasts, in seconds.
const SESSION_S: u64 = 12 * 3_600;
/// Sessions at a time.
const SESSIONS_MAX: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::super::pass::Shown;
    use super::*;
    use crate::config::Secret;

    fn key(name: &str) -> ApiKey {
        ApiKey {
            name: name.to_owned(),
            key: Secret::new(format!("{name}-0123456789abcdef")),
            role: Role::Reader,
        }
    }

    fn configured(keys: Vec<ApiKey>) -> Config {
        let mut config = Config::default_serve();
        config.http.keys = keys;
        config
    }

    fn headers(config: &Config, id: &str) -> HeaderMap {
        let cookie = format!("other=1; {}={id}", cookie_name(config));
        HeaderMap::from_iter([(COOKIE, cookie.parse().unwrap())])
    }

    #[test]
    fn a_session_is_as_good_as_its_key_and_no_longer_than_its_time() {
        let config = configured(vec![key("board"), key("ops")]);
        let sessions = Sessions::default();
        let (id, _) = sessions.begin(&config.http.keys[1], 1_000).unwrap();
        let found = |config: &Config, id: &str, now_ms| {
            sessions.find(config, &headers(config, id), now_ms).map(|(key, _)| key.name.clone())
        };
        assert_eq!(found(&config, &id, 2_000).as_deref(), Some("ops"));
        assert_eq!(found(&config, &id[1..], 2_000), None);
        assert_eq!(found(&config, &id, 1_000 + SESSION_S * 1_000), None);
        assert_eq!(found(&configured(vec![key("board")]), &id, 2_000), None);
        let mut changed = key("ops");
        changed.key = Secret::new("another-0123456789abcdef");
        assert_eq!(found(&configured(vec![changed]), &id, 2_000), None);
        sessions.end(&config, &headers(&config, &id));
        assert_eq!(found(&config, &id, 2_000), None);
    }

    #[test]
    fn what_a_session_let_in_is_let_in_until_it_is_ended_or_its_time_is_over() {
        let config = configured(vec![key("board")]);
        let sessions = Sessions::default();
        let (id, _) = sessions.begin(&config.http.keys[0], 1_000).unwrap();
        let pass = Shown::of(&config, &headers(&config, &id));
        let opens = |config: &Config, now_ms| pass.opens(Role::Reader, config, &sessions, now_ms);
        assert!(opens(&config, 2_000) && !pass.opens(Role::Operator, &config, &sessions, 2_000));
        assert!(!opens(&config, 1_000 + SESSION_S * 1_000));
        assert!(!opens(&configured(vec![key("ops")]), 2_000));
        sessions.end(&config, &headers(&config, &id));
        assert!(!opens(&config, 2_000));
    }

    #[test]
    fn more_sessions_than_are_kept_displace_the_oldest() {
        let config = configured(vec![key("board")]);
        let sessions = Sessions::default();
        let (first, _) = sessions.begin(&config.http.keys[0], 0).unwrap();
        for at_ms in 1..=SESSIONS_MAX as u64 {
            sessions.begin(&config.http.keys[0], at_ms).unwrap();
        }
        assert_eq!(sessions.0.lock().unwrap().len(), SESSIONS_MAX);
        assert!(sessions.find(&config, &headers(&config, &first), 2_000).is_none());
    }

    #[test]
    fn nothing_that_a_session_leaves_behind_opens_it() {
        let config = configured(vec![key("board")]);
        let sessions = Sessions::default();
        let (id, _) = sessions.begin(&config.http.keys[0], 0).unwrap();
        let kept = format!("{sessions:?}");
        assert!(!kept.contains(&id) && !kept.contains("0123456789abcdef"));
    }
}
