//! The messages of `ivr-solutions` as they stand on the wire, to read; writing is done by hand.
//!
//! Every field may be missing: what must be there is decided by the ends, which name it. Source: seed 000 §5–7.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::dialect::json::{Number, Text};

/// Where every message says its kind (`event` from the platform, `type` from a bot), and where audio stands in its
/// two shapes (§5.3 and §6.1).
pub const MESSAGE: [&[&str]; 4] = [&["event"], &["type"], &["media", "payload"], &["delta"]];

/// §5.2.
#[derive(Debug, Deserialize)]
pub struct StartMessage<'a> {
    #[serde(borrow)]
    pub stream_sid: Option<Text<'a>>,
    #[serde(borrow)]
    pub start: Option<Start<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Start<'a> {
    #[serde(borrow)]
    pub stream_sid: Option<Text<'a>>,
    #[serde(borrow)]
    pub call_sid: Option<Text<'a>>,
    #[serde(borrow)]
    pub account_sid: Option<Text<'a>>,
    #[serde(borrow)]
    pub from: Option<Text<'a>>,
    #[serde(borrow)]
    pub to: Option<Text<'a>>,
    #[serde(borrow)]
    pub media_format: Option<MediaFormat<'a>>,
    pub custom_parameters: Option<Parameters>,
}

#[derive(Debug, Deserialize)]
pub struct MediaFormat<'a> {
    #[serde(borrow)]
    pub encoding: Option<Text<'a>>,
    pub sample_rate: Option<Number>,
}

/// Names and values in their order; values that are no strings are kept as JSON.
#[derive(Debug, Default)]
pub struct Parameters(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Parameters;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Parameters, M::Error> {
                let mut pairs = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, serde_json::Value>()? {
                    let value = match value {
                        serde_json::Value::String(text) => text,
                        other => other.to_string(),
                    };
                    pairs.push((name, value));
                }
                Ok(Parameters(pairs))
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// §5.5, both ways.
#[derive(Debug, Deserialize)]
pub struct MarkMessage<'a> {
    #[serde(borrow)]
    pub mark: Option<Mark<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Mark<'a> {
    #[serde(borrow)]
    pub name: Option<Text<'a>>,
}

/// §5.7.
#[derive(Debug, Deserialize)]
pub struct StopMessage<'a> {
    #[serde(borrow)]
    pub stop: Option<Stop<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Stop<'a> {
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
}

/// A refused command, told to the bot; an addition of this gateway.
#[derive(Debug, Deserialize)]
pub struct ErrorMessage<'a> {
    #[serde(borrow)]
    pub error: Option<Refusal<'a>>,
}

#[derive(Debug, Deserialize)]
pub struct Refusal<'a> {
    #[serde(borrow)]
    pub code: Option<Text<'a>>,
    #[serde(borrow)]
    pub message: Option<Text<'a>>,
    #[serde(borrow)]
    pub command: Option<Text<'a>>,
}

/// A command with its argument (§6.3 and §7).
#[derive(Debug, Deserialize)]
pub struct CommandMessage<'a> {
    #[serde(borrow)]
    pub dtmf: Option<Text<'a>>,
    #[serde(borrow)]
    pub destination: Option<Destinations<'a>>,
    #[serde(borrow)]
    pub strategy: Option<Text<'a>>,
    #[serde(borrow)]
    pub url: Option<Text<'a>>,
    #[serde(borrow)]
    pub flow_id: Option<Text<'a>>,
    #[serde(borrow)]
    pub extension: Option<Text<'a>>,
}

/// One destination, or several in their order.
#[derive(Debug)]
pub struct Destinations<'a>(pub Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Destinations<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OneOrMore<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for OneOrMore<'a> {
            type Value = Destinations<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or a list of numbers")
            }

            fn visit_borrowed_str<E: Error>(self, one: &'de str) -> Result<Self::Value, E> {
                Ok(Destinations(vec![Text::from(Cow::Borrowed(one))]))
            }

            fn visit_str<E: Error>(self, one: &str) -> Result<Self::Value, E> {
                Ok(Destinations(vec![Text::from(Cow::Owned(one.to_owned()))]))
            }

            fn visit_u64<E: Error>(self, one: u64) -> Result<Self::Value, E> {
                Ok(Destinations(vec![Text::from(Cow::Owned(one.to_string()))]))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
                let mut all = Vec::new();
                while let Some(one) = list.next_element()? {
                    all.push(one);
                }
                Ok(Destinations(all))
            }
        }
        from.deserialize_any(OneOrMore(PhantomData))
    }
}
