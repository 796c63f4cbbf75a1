//! URLs that this program dials: a bot's WebSocket, an HTTP address.

use std::fmt;
use std::marker::PhantomData;
use std::net::Ipv6Addr;

use http::Uri;

use super::problem::Refusal;
use super::secret::MASK;
use super::section::Setting;

/// A URL with a host and without user-info, of at most 8 KiB; `Debug` and `Display` mask the query.
#[derive(Clone, PartialEq, Eq)]
pub struct Url<K>(Uri, PhantomData<K>);

/// The WebSocket of a bot, `ws://` or `wss://`.
pub type BotUrl = Url<WebSocket>;

/// An address of HTTP, `http://` or `https://`.
pub type WebUrl = Url<Web>;

/// The kind of [`BotUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebSocket {}

/// The kind of [`WebUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Web {}

/// What URLs of one kind look like.
pub trait UrlKind {
    /// The scheme without TLS, and the one with it.
    const SCHEMES: [&'static str; 2];
    /// What to write.
    const CURE: &'static str;
}

impl UrlKind for WebSocket {
    const SCHEMES: [&'static str; 2] = ["ws", "wss"];
    const CURE: &'static str = "a WebSocket address: \"wss://bot.example.com/voice\"";
}

impl UrlKind for Web {
    const SCHEMES: [&'static str; 2] = ["http", "https"];
    const CURE: &'static str = "an HTTP address: \"https://api.example.com/config\"";
}

impl<K: UrlKind> Url<K> {
    /// Parses a URL.
    ///
    /// # Errors
    /// A refusal for another scheme, no host, user-info, a fragment or excessive length.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        // The text is not repeated in a refusal: a query or user-info in it may be a secret.
        let uri: Uri = text.parse().map_err(|_| Refusal::new("this is not a URL", K::CURE))?;
        if text.len() > URL_BYTES_MAX {
            return Err(Refusal::new("the URL has more than 8 KiB", "write a shorter one"));
        }
        if !uri.scheme_str().is_some_and(|scheme| K::SCHEMES.contains(&scheme)) {
            let [plain, tls] = K::SCHEMES;
            let what = format!("the URL does not begin with {plain}:// or {tls}://");
            return Err(Refusal::new(what, K::CURE));
        }
        let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
        if authority.contains('@') {
            return Err(Refusal::new(
                "a URL may not carry a user name or a password",
                "put them into a header: Authorization = \"…\"",
            ));
        }
        let host = uri.host().unwrap_or_default();
        let bad_v6 = host.starts_with('[') && host.trim_matches(['[', ']']).parse::<Ipv6Addr>().is_err();
        if host.is_empty() || bad_v6 {
            return Err(Refusal::new("the URL has no host that can be dialled", K::CURE));
        }
        let port = authority.strip_prefix(host).unwrap_or_default();
        if !port.is_empty() && !matches!(uri.port_u16(), Some(1..)) {
            return Err(Refusal::new("the port is not a number from 1 to 65535", K::CURE));
        }
        if text.contains('#') {
            return Err(Refusal::new("the URL has a fragment (#…)", "leave it out: it is never sent"));
        }
        Ok(Url(uri, PhantomData))
    }

    /// The URL with its query.
    pub fn as_uri(&self) -> &Uri {
        &self.0
    }

    /// Whether both lead to the same server: the same scheme, host and port (RFC 6454 §5).
    pub fn has_origin_of(&self, other: &BotUrl) -> bool {
        let same_host = self.host().eq_ignore_ascii_case(other.host());
        (self.is_tls(), self.port()) == (other.is_tls(), other.port()) && same_host
    }

    /// Scheme, host and port, without a path that may hold a secret.
    pub fn origin(&self) -> String {
        let scheme = self.0.scheme_str().unwrap_or_default();
        format!("{scheme}://{}", self.0.authority().map_or("", http::uri::Authority::as_str))
    }

    /// Whether TLS is spoken.
    pub fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some(K::SCHEMES[1])
    }

    /// The host, without the brackets of an IPv6 address.
    pub fn host(&self) -> &str {
        self.0.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
    }

    /// The port, 80 or 443 when none is written.
    pub fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Host and port as they are written, for the header `Host` (RFC 9110 §7.2).
    pub fn authority(&self) -> &str {
        self.0.authority().map(http::uri::Authority::as_str).unwrap_or_default()
    }
}

impl<K> fmt::Display for Url<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_query(&self.0.to_string()))
    }
}

impl<K> fmt::Debug for Url<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({self})")
    }
}

impl<K: UrlKind> Setting for Url<K> {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        Url::parse(text)
    }
}

/// A URL's text with its query and its user-info masked, whether it is a good URL or not.
pub fn mask_query(text: &str) -> String {
    let (address, query) = text.split_once('?').map_or((text, ""), |(address, _)| (address, "?"));
    let masked_query = if query.is_empty() { String::new() } else { format!("?{MASK}") };
    let (scheme, rest) = address.split_once("://").unwrap_or(("", address));
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((user, _)) => format!("{scheme}://{MASK}{}{masked_query}", &rest[user.len()..]),
        None => format!("{address}{masked_query}"),
    }
}

/// The longest URL, in bytes: signed ones are long.
const URL_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_url_are_found_and_ports_have_defaults() {
        let url = BotUrl::parse("wss://bot.example.com/voice?key=1").unwrap();
        assert_eq!((url.host(), url.port(), url.is_tls()), ("bot.example.com", 443, true));
        let url = BotUrl::parse("ws://[::1]:9001").unwrap();
        assert_eq!((url.host(), url.port(), url.is_tls()), ("::1", 9001, false));
    }

    #[test]
    fn an_http_address_is_one_and_a_websocket_is_none() {
        let url = WebUrl::parse("https://api.example.com:8443/config?key=hunter2").unwrap();
        assert_eq!((url.host(), url.port(), url.is_tls()), ("api.example.com", 8443, true));
        assert_eq!(url.authority(), "api.example.com:8443");
        assert_eq!(WebUrl::parse("http://h").unwrap().port(), 80);
        assert!(WebUrl::parse("wss://h/").is_err() && BotUrl::parse("https://h/").is_err());
        assert!(WebUrl::parse(&format!("https://h/{}", "x".repeat(URL_BYTES_MAX))).is_err());
    }

    #[test]
    fn a_query_is_never_printed() {
        let url = BotUrl::parse("wss://bot.example.com/voice?key=hunter2").unwrap();
        assert_eq!(format!("{url} {url:?}").matches("hunter2").count(), 0);
        assert_eq!(url.to_string(), "wss://bot.example.com/voice?***");
        assert_eq!(mask_query("wss://a:hunter2@h/p?q"), "wss://***@h/p?***");
    }

    #[test]
    fn what_is_no_websocket_url_is_refused_without_repeating_it() {
        for wrong in [
            "http://hunter2",
            "wss://user:hunter2@host/",
            "wss://",
            "hunter2",
            "",
            "ws://h/#hunter2",
            "ws://h:0/",
            "ws://h:99999/",
            "ws://h:/",
            "ws://[hunter2]/",
            "ws:///hunter2",
        ] {
            let refusal = BotUrl::parse(wrong).expect_err(wrong);
            assert!(!format!("{refusal:?}").contains("hunter2"), "{refusal:?}");
        }
    }
}
