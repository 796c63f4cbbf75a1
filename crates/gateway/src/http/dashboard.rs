//! The dashboard's files, as `web/` was built into this binary: compressed beforehand, cached by their names, under a
//! policy that lets the page do nothing but what it is for.
//!
//! A build without them serves a plain page in their place. What the page asks for, it asks of the API.

use axum::Router;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    HOST, IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::api::Api;
use super::watch;

/// A file of the dashboard.
struct BuiltFile {
    /// Its path, from the root of the server on.
    address: &'static str,
    /// Its content in one word, quoted (RFC 9110 §8.8.3).
    tag: &'static str,
    plain: &'static [u8],
    brotli: Option<&'static [u8]>,
    gzip: Option<&'static [u8]>,
}

/// What was there when this binary was built.
static FILES: &[BuiltFile] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// The page and its files.
pub fn router() -> Router<Api> {
    let page = get(front_page);
    let pages = PAGES.iter().fold(Router::new(), |router, address| router.route(address, page.clone()));
    FILES.iter().filter(|file| file.address != INDEX).fold(pages, |router, file| {
        router.route(file.address, get(async move |headers: HeaderMap| file.answer(&headers, None)))
    })
}

/// The page for browsers; for everybody else, and without a built page, what to dial and where to look.
async fn front_page(api: axum::extract::State<Api>, headers: HeaderMap) -> Response {
    page_or(&api, &headers, || watch::front_page(&api.exchange, page_hint()))
}

/// The page for browsers, if it was built; `plain` for everybody else.
pub fn page_or(api: &Api, headers: &HeaderMap, plain: impl FnOnce() -> Response) -> Response {
    let is_browser = words(headers, ACCEPT).any(|kind| kind == "text/html");
    let page = FILES.iter().find(|file| file.address == INDEX).filter(|_| is_browser);
    // The page's player follows the address that a recording in a bucket is answered with.
    let bucket = api.exchange.config().recording.place.bucket.as_ref().map(|bucket| bucket.endpoint.origin());
    let mut response = page.map_or_else(plain, |page| page.answer(headers, bucket.as_deref()));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    response
}

/// Where the dashboard is, for the plain page.
fn page_hint() -> &'static str {
    if FILES.is_empty() {
        "The dashboard is not in this binary: install npm, then `make build` builds it in."
    } else {
        "Open this address in a browser for the dashboard."
    }
}

impl BuiltFile {
    fn answer(&self, headers: &HeaderMap, bucket: Option<&str>) -> Response {
        // What has its content's hash in its name never changes.
        let keep = if self.address.starts_with("/assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        let told = [
            (ETAG, self.tag),
            (CACHE_CONTROL, keep),
            (VARY, "Accept-Encoding"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (REFERRER_POLICY, "no-referrer"),
            (HeaderName::from_static("permissions-policy"), PERMISSIONS),
            (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        ];
        let mut answer =
            HeaderMap::from_iter(told.map(|(name, value)| (name, HeaderValue::from_static(value))));
        if let Ok(policy) = HeaderValue::from_str(&policy(headers, bucket)) {
            answer.insert(CONTENT_SECURITY_POLICY, policy);
        }
        if words(headers, IF_NONE_MATCH).any(|tag| tag.trim_start_matches("W/") == self.tag || tag == "*") {
            return (StatusCode::NOT_MODIFIED, answer).into_response();
        }
        answer.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind()));
        let takes =
            |coding: &str| words(headers, ACCEPT_ENCODING).any(|word| word.eq_ignore_ascii_case(coding));
        let compressed = [("br", self.brotli), ("gzip", self.gzip)].into_iter();
        let chosen =
            compressed.filter(|(coding, _)| takes(coding)).find_map(|(coding, form)| Some((coding, form?)));
        let body = chosen.map_or(self.plain, |(coding, form)| {
            answer.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            form
        });
        (answer, body).into_response()
    }

    fn kind(&self) -> &'static str {
        match self.address.rsplit_once('.').map(|(_, end)| end) {
            Some("html") => "text/html; charset=utf-8",
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            Some("svg") => "image/svg+xml",
            Some("wav") => "audio/wav",
            _ => "application/octet-stream",
        }
    }
}

/// The words of a list, without their parameters; one with `q=0` is none (RFC 9110 §12.4.2).
fn words(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).filter_map(|item| {
        let (word, parameters) = item.split_once(';').unwrap_or((item, ""));
        let is_refused = parameters.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
        (!is_refused).then(|| word.trim())
    })
}

/// What the page may do: its own files, its own server, its own sounds and those of `bucket`. Browsers differ in whether
/// `'self'` means WebSockets too, so that these are named by the host that was asked for.
fn policy(headers: &HeaderMap, bucket: Option<&str>) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_plain =
        |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte));
    let sockets = host.filter(is_plain).map_or_else(String::new, |host| format!(" ws://{host} wss://{host}"));
    let bucket = bucket.map_or_else(String::new, |origin| format!(" {origin}"));
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{sockets}; img-src 'self' data:; \
         media-src 'self' blob:{bucket}; worker-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
}

/// The page itself.
const INDEX: &str = "/index.html";
/// Where the page is served: its screens stand behind the `#`, and `/talk` is what people are told to open.
const PAGES: [&str; 2] = ["/", "/talk"];
/// What the page may use of the machine.
const PERMISSIONS: &str = "microphone=(self), camera=(), geolocation=(), payment=(), usb=()";

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: BuiltFile = BuiltFile {
        address: "/assets/index-0a1b.js",
        tag: "\"00ff\"",
        plain: b"plain",
        brotli: Some(b"br"),
        gzip: Some(b"gz"),
    };

    fn asked(lines: &[(&'static str, &str)]) -> HeaderMap {
        let line =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), value.parse().unwrap());
        lines.iter().map(line).collect()
    }

    #[test]
    fn a_file_is_sent_in_the_smallest_form_that_is_taken() {
        for (taken, coding) in [
            ("gzip, deflate, br", Some("br")),
            ("gzip;q=0.8, br;q=0", Some("gzip")),
            ("identity", None),
            ("deflate", None),
        ] {
            let answer = FILE.answer(&asked(&[("accept-encoding", taken)]), None);
            let sent = answer.headers().get(CONTENT_ENCODING).map(|coding| coding.to_str().unwrap());
            assert_eq!((answer.status(), sent), (StatusCode::OK, coding), "{taken}");
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        for tag in ["\"00ff\"", "\"other\", W/\"00ff\"", "*"] {
            assert_eq!(
                FILE.answer(&asked(&[("if-none-match", tag)]), None).status(),
                StatusCode::NOT_MODIFIED,
                "{tag}"
            );
        }
        let answer = FILE.answer(&asked(&[("if-none-match", "\"other\"")]), None);
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
    }

    #[test]
    fn a_recording_in_a_bucket_may_be_played() {
        let bucket = Some("https://s3.example.com");
        assert!(policy(&asked(&[]), bucket).contains("media-src 'self' blob: https://s3.example.com;"));
        assert!(policy(&asked(&[]), None).contains("media-src 'self' blob:;"));
    }

    #[test]
    fn the_policy_names_the_host_that_was_asked_for_and_nothing_that_somebody_could_slip_in() {
        let text = policy(&asked(&[("host", "127.0.0.1:8080")]), None);
        assert!(text.contains("connect-src 'self' ws://127.0.0.1:8080 wss://127.0.0.1:8080;"), "{text}");
        assert!(!text.contains("unsafe") && text.starts_with("default-src 'none';"));
        for host in ["a; script-src *", "a b", "'unsafe-inline'", "*"] {
            let text = policy(&asked(&[("host", host)]), None);
            assert!(text.contains("connect-src 'self';"), "{host}: {text}");
        }
    }
}
