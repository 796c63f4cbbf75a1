//! Who may use the API: keys with roles, and without keys this machine's own programs alone.
//!
//! A missing key and a wrong one get the same answer in the same time: what is presented is hashed, and the hash is
//! compared with that of every key. A browser shows its session's cookie instead of a key; what such a request changes
//! must come from a page of ours.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, UPGRADE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use subtle::ConstantTimeEq;

use super::api::Api;
use super::limits::Asker;
use super::pass::{Pass, Shown};
use super::problem::Problem;
use super::sessions::{Hash, hash};
use crate::clock::unix_ms;
use crate::config::{ApiKey, Config, Role};

/// Lets a request through to a resource that asks for a role.
pub async fn require(State((api, role)): State<(Api, Role)>, mut request: Request, next: Next) -> Response {
    match admit(&api, role, &request) {
        Ok((caller, held, shown)) => {
            let pass = Pass::new(&api, shown, role);
            let extensions = request.extensions_mut();
            extensions.insert(caller);
            extensions.insert(held);
            extensions.insert(pass);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who asks, by the name of the key; empty where there are no keys.
#[derive(Debug, Clone, Default)]
pub struct Caller(pub Arc<str>);

fn admit(api: &Api, role: Role, request: &Request) -> Result<(Caller, Role, Shown), Problem> {
    let config = api.exchange.config();
    let address = client_address(&config, request);
    if config.http.keys.is_empty() {
        check_is_no_page(request.headers())?;
        api.rates.take(Asker::Address(address))?;
        return Ok((Caller(Arc::default()), Role::Admin, Shown::Nothing));
    }
    let shown = Shown::of(&config, request.headers());
    let Some(key) = shown.find(&config, &api.sessions, unix_ms()) else {
        api.rates.take(Asker::Stranger(address))?;
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "key_required", "the key is missing or wrong")
            .with_header("www-authenticate", "Bearer"));
    };
    let is_session = matches!(shown, Shown::Session(_));
    if is_session && (!request.method().is_safe() || request.headers().contains_key(UPGRADE)) {
        check_own_page(&config, request.headers())?;
    }
    let name = Arc::<str>::from(key.name.as_str());
    api.rates.take(Asker::Key(name.clone()))?;
    if key.role < role {
        let detail = format!("the key opens {}; this takes {}", key.role.word(), role.word());
        return Err(Problem::new(StatusCode::FORBIDDEN, "role_too_low", detail));
    }
    Ok((Caller(name), key.role, shown))
}

/// The key that was presented, compared with all of them whatever was found before.
pub fn find<'a>(keys: &'a [ApiKey], presented: &str) -> Option<&'a ApiKey> {
    find_hash(keys, &hash(presented))
}

/// The same by the hash of what was presented.
pub fn find_hash<'a>(keys: &'a [ApiKey], presented: &Hash) -> Option<&'a ApiKey> {
    let mut found = None;
    for key in keys {
        if bool::from(hash(key.key.expose()).as_slice().ct_eq(presented)) {
            found = Some(key);
        }
    }
    found
}

/// What stands behind `Authorization: Bearer`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Without keys a page of the web must not act through the browser of somebody on this machine: neither from another
/// origin, nor under a name that the page's owner lets point here.
///
/// # Errors
/// 403.
pub fn check_is_no_page(headers: &HeaderMap) -> Result<(), Problem> {
    let Some(code) = foreignness(headers) else { return Ok(()) };
    let detail = match code {
        FOREIGN_HOST => "without [[http.keys]] the API answers to localhost and to addresses only",
        _ => "without [[http.keys]] no page of another origin may use the API",
    };
    Err(Problem::new(StatusCode::FORBIDDEN, code, detail))
}

/// What comes with a cookie and changes something must come from a page of this server: a browser says which page sent
/// it (`Origin`, RFC 6454 §7), and one that does not say is not believed.
///
/// # Errors
/// 403.
pub fn check_own_page(config: &Config, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_named = |origin: &str| {
        let place = origin.split_once("://").map(|(_, place)| place);
        let forwarded = text("x-forwarded-host").filter(|_| config.http.behind_proxy);
        let own = [text("host"), forwarded].into_iter().flatten().any(|host| Some(host) == place);
        own || config.http.public_url.as_ref().is_some_and(|url| url.origin() == origin)
    };
    let is_own = match text("origin") {
        Some(origin) => is_named(origin),
        None => text("sec-fetch-site") == Some("same-origin"),
    };
    if is_own {
        return Ok(());
    }
    let detail = "a session is used by this server's own pages only: show a key instead";
    Err(Problem::new(StatusCode::FORBIDDEN, "foreign_origin", detail))
}

/// What is foreign about a request that a page of the web may have sent, as the code of a refusal.
pub fn foreignness(headers: &HeaderMap) -> Option<&'static str> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(HOST).unwrap_or_default();
    if !is_own_name(host) {
        return Some(FOREIGN_HOST);
    }
    let is_ours = |origin: &str| origin.split_once("://").is_some_and(|(_, place)| place == host);
    text(ORIGIN).is_some_and(|origin| !is_ours(origin)).then_some("foreign_origin")
}

fn is_own_name(host: &str) -> bool {
    let Ok(authority) = host.parse::<Uri>() else { return false };
    let name = authority.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

/// Where a request came from: behind a proxy, what the nearest proxy says.
pub fn client_address(config: &Config, request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(peer)| peer.ip().to_canonical());
    if !config.http.behind_proxy {
        return peer;
    }
    let chain = request.headers().get_all("x-forwarded-for").iter().next_back();
    let nearest = chain.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    nearest.unwrap_or(peer)
}

/// The request was sent to a name that may be anybody's.
const FOREIGN_HOST: &str = "foreign_host";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;

    fn key(name: &str, secret: &str) -> ApiKey {
        ApiKey { name: name.to_owned(), key: Secret::new(secret), role: Role::Reader }
    }

    #[test]
    fn only_the_whole_key_is_the_key() {
        let keys = [key("a", "0123456789abcdef"), key("b", "fedcba9876543210")];
        assert_eq!(find(&keys, "fedcba9876543210").map(|key| key.name.as_str()), Some("b"));
        for wrong in ["", "0123456789abcde", "0123456789abcdef ", "0123456789ABCDEF"] {
            assert_eq!(find(&keys, wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_a_session_changes_comes_from_a_page_of_this_server() {
        let judged = |lines: &[(&'static str, &str)], behind_proxy: bool| {
            let mut config = Config::default_serve();
            config.http.behind_proxy = behind_proxy;
            config.http.public_url = Some(crate::config::WebUrl::parse("https://voice.example.com").unwrap());
            let line = |(name, value): &(&'static str, &str)| {
                (axum::http::HeaderName::from_static(name), value.parse().unwrap())
            };
            check_own_page(&config, &lines.iter().map(line).collect()).is_ok()
        };
        let host = ("host", "10.0.0.1:8080");
        assert!(judged(&[host, ("origin", "http://10.0.0.1:8080")], false));
        assert!(judged(&[host, ("origin", "https://voice.example.com")], false));
        assert!(judged(&[host, ("sec-fetch-site", "same-origin")], false));
        let forwarded = [host, ("origin", "https://pbx.example"), ("x-forwarded-host", "pbx.example")];
        assert!(judged(&forwarded, true) && !judged(&forwarded, false));
        for origin in
            ["https://evil.example", "null", "", "http://10.0.0.1", "http://10.0.0.1:8080.evil.example"]
        {
            assert!(
                !judged(&[host, ("origin", origin), ("sec-fetch-site", "same-origin")], true),
                "{origin:?}"
            );
        }
        assert!(!judged(&[host], false) && !judged(&[host, ("sec-fetch-site", "same-site")], false));
    }

    #[test]
    fn without_keys_a_page_reaches_nothing_by_its_own_name_or_from_its_own_origin() {
        let judged = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(ORIGIN, origin.parse().unwrap());
            }
            check_is_no_page(&headers).map_err(|problem| problem.code)
        };
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "[::1]:8080", "::1"] {
            let expected = if host == "::1" { Err("foreign_host") } else { Ok(()) };
            assert_eq!(judged(host, None), expected, "{host}");
        }
        assert_eq!(judged("127.0.0.1:8080", Some("http://127.0.0.1:8080")), Ok(()));
        assert_eq!(judged("rebound.example:8080", None), Err("foreign_host"));
        for origin in ["https://evil.example", "null", "http://127.0.0.1:9090"] {
            assert_eq!(judged("127.0.0.1:8080", Some(origin)), Err("foreign_origin"), "{origin}");
        }
    }
}
