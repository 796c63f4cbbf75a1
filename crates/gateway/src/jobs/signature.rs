//! How a receiver knows that a callback is ours: seed 000's `X-Signature`, and the headers of Standard Webhooks.
//!
//! Both are HMAC-SHA256. `X-Signature` covers the body, in lower-case hexadecimal. `webhook-signature` covers
//! `id.timestamp.body` in Base64, so that a copy of an old message can be told from a new one.

use base64_simd::STANDARD;
use hmac::{Hmac, Mac};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use sha2::Sha256;

use crate::config::Secret;
use crate::hex::hex;

/// One message to sign.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// The event's id: the same for every repeat.
    pub id: &'a str,
    /// The call.
    pub call_id: &'a str,
    /// When the event happened, as it stands in the body.
    pub timestamp: &'a str,
    /// The body.
    pub body: &'a str,
    /// When it is sent, in seconds since 1970.
    pub sent_at_s: u64,
}

impl Signed<'_> {
    /// The headers of the message; without a secret, those that sign nothing.
    pub fn headers(&self, secret: Option<&Secret>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        // Ids and times are our own words; what cannot be a header is left out rather than sent broken.
        let mut add = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        let sent_at = self.sent_at_s.to_string();
        add("content-type", "application/json");
        add("x-call-id", self.call_id);
        add("x-timestamp", self.timestamp);
        add("webhook-id", self.id);
        add("webhook-timestamp", &sent_at);
        if let Some(secret) = secret {
            add("x-signature", &hex(&mac(secret.expose().as_bytes(), &[self.body])));
            add("x-signature-algorithm", "HMAC-SHA256");
            let signed = mac(&key(secret), &[self.id, ".", &sent_at, ".", self.body]);
            add("webhook-signature", &format!("v1,{}", STANDARD.encode_to_string(signed)));
        }
        headers
    }
}

/// The key of `webhook-signature`: what stands in Base64 behind `whsec_`, or the secret as it is.
fn key(secret: &Secret) -> Vec<u8> {
    let text = secret.expose();
    let packed = text.strip_prefix("whsec_").and_then(|rest| STANDARD.decode_to_vec(rest).ok());
    packed.unwrap_or_else(|| text.as_bytes().to_vec())
}

fn mac(key: &[u8], parts: &[&str]) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        unreachable!("HMAC takes keys of any length (RFC 2104 §2)")
    };
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: Signed<'_> = Signed {
        id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
        call_id: "call_1",
        timestamp: "2021-02-25T19:55:47.000Z",
        body: "{\"test\": 2432232314}",
        sent_at_s: 1_614_265_330,
    };

    fn header(headers: &HeaderMap, name: &str) -> Option<String> {
        headers.get(name).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_signature_is_that_of_the_published_example_of_standard_webhooks() {
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let headers = MESSAGE.headers(Some(&secret));
        assert_eq!(
            header(&headers, "webhook-signature").as_deref(),
            Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")
        );
        assert_eq!(header(&headers, "webhook-id").as_deref(), Some(MESSAGE.id));
        assert_eq!(header(&headers, "webhook-timestamp").as_deref(), Some("1614265330"));
    }

    #[test]
    fn x_signature_is_the_lower_case_hmac_of_the_body_alone() {
        // RFC 4231 §4.3.
        let message = Signed { body: "what do ya want for nothing?", ..MESSAGE };
        let headers = message.headers(Some(&Secret::new("Jefe")));
        assert_eq!(
            header(&headers, "x-signature").as_deref(),
            Some("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
        assert_eq!(header(&headers, "x-signature-algorithm").as_deref(), Some("HMAC-SHA256"));
    }

    #[test]
    fn without_a_secret_nothing_pretends_to_be_signed() {
        let headers = MESSAGE.headers(None);
        assert!(headers.keys().all(|name| !name.as_str().contains("signature")));
        assert_eq!(header(&headers, "x-call-id").as_deref(), Some("call_1"));
        assert_eq!(header(&headers, "x-timestamp").as_deref(), Some(MESSAGE.timestamp));
    }
}
