//! Takes the values at a few paths out of a JSON message in one pass, without a tree and without an allocation.
//!
//! What is at no path is skipped, though not unread: a message that is no JSON is found out.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::path::{Steps, index};
use crate::dialect::Malformed;
use crate::dialect::json::{Base64Text, Text};

/// What stood at a path: a value as it was written, or nothing. `null` is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Picked<'a>(Option<&'a str>);

/// Picks what stands at `paths`, each into the place of the same number in `picked`; of a name that stands twice the
/// last one counts.
///
/// # Errors
/// [`Malformed::NotJson`]. The caller has asked [`expect_object`](crate::dialect::json::expect_object) before.
pub fn pick<'a, P: Steps>(text: &'a str, paths: &[P], picked: &mut [Picked<'a>]) -> Result<(), Malformed> {
    debug_assert!(paths.len() <= PATHS_MAX && paths.len() == picked.len());
    let mut from = serde_json::Deserializer::from_str(text);
    let walk = Walk { paths, picked, live: u32::MAX.unbounded_shr(u32::BITS - paths.len() as u32), depth: 0 };
    walk.deserialize(&mut from).and_then(|()| from.end()).map_err(|_| Malformed::NotJson)
}

impl<'a> Picked<'a> {
    /// The value as it was written.
    pub fn raw(self) -> Option<&'a str> {
        self.0
    }

    /// The text; a whole number is one too.
    ///
    /// # Errors
    /// [`Malformed::Field`] with that name for any other value.
    pub fn text(self, name: &'static str) -> Result<Option<Text<'a>>, Malformed> {
        let Some(raw) = self.0 else { return Ok(None) };
        match inside_quotes(raw) {
            Some(plain) if !plain.contains('\\') => Ok(Some(Text::from(std::borrow::Cow::Borrowed(plain)))),
            _ => serde_json::from_str(raw).map(Some).map_err(|_| Malformed::Field(name)),
        }
    }

    /// Whether it is that text.
    pub fn is_text(self, known: &str) -> bool {
        match self.0.and_then(inside_quotes) {
            Some(plain) if !plain.contains('\\') => plain == known,
            Some(_) => self.text("").is_ok_and(|text| text.is_some_and(|text| text.as_str() == known)),
            None => false,
        }
    }

    /// The base64 text, not decoded.
    ///
    /// # Errors
    /// [`Malformed::Field`] with that name for a value that is no string.
    pub fn base64(self, name: &'static str) -> Result<Option<Base64Text<'a>>, Malformed> {
        self.0.map(|raw| inside_quotes(raw).map(Base64Text::new).ok_or(Malformed::Field(name))).transpose()
    }
}

fn inside_quotes(raw: &str) -> Option<&str> {
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"'))
}

/// A walk into the message; the bits of `live` are the paths that lead through here.
struct Walk<'w, 'a, P> {
    paths: &'w [P],
    picked: &'w mut [Picked<'a>],
    live: u32,
    depth: usize,
}

/// The paths that a name belongs to: those that end there, and those that lead on.
#[derive(Clone, Copy)]
struct Hit {
    ending: u32,
    leading: u32,
}

impl<'a, P: Steps> Walk<'_, 'a, P> {
    fn hit(&self, fits: impl Fn(&str) -> bool) -> Hit {
        let mut hit = Hit { ending: 0, leading: 0 };
        let mut live = self.live;
        while live != 0 {
            let at = live.trailing_zeros() as usize;
            live &= live - 1;
            let Some(path) = self.paths.get(at) else { break };
            if path.step(self.depth).is_some_and(&fits) {
                let side =
                    if path.step(self.depth + 1).is_none() { &mut hit.ending } else { &mut hit.leading };
                *side |= 1 << at;
            }
        }
        hit
    }

    fn keep(&mut self, mut ending: u32, raw: &'a RawValue) {
        let value = Some(raw.get()).filter(|raw| *raw != "null");
        while ending != 0 {
            if let Some(place) = self.picked.get_mut(ending.trailing_zeros() as usize) {
                *place = Picked(value);
            }
            ending &= ending - 1;
        }
    }

    fn inner(&mut self, leading: u32) -> Walk<'_, 'a, P> {
        Walk { paths: self.paths, picked: self.picked, live: leading, depth: self.depth + 1 }
    }

    /// Takes the value behind a hit, of which one path ends at least and another may lead on into it.
    fn take<E: Error>(&mut self, hit: Hit, raw: &'a RawValue) -> Result<(), E> {
        self.keep(hit.ending, raw);
        if hit.leading == 0 {
            return Ok(());
        }
        let mut from = serde_json::Deserializer::from_str(raw.get());
        self.inner(hit.leading).deserialize(&mut from).map_err(E::custom)
    }
}

impl<'a, P: Steps> DeserializeSeed<'a> for Walk<'_, 'a, P> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'a, P: Steps> Visitor<'a> for Walk<'_, 'a, P> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<M: MapAccess<'a>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(hit) = map.next_key_seed(Name(&self))? {
            match hit {
                Hit { ending: 0, leading: 0 } => drop(map.next_value::<IgnoredAny>()?),
                Hit { ending: 0, leading } => map.next_value_seed(self.inner(leading))?,
                hit => self.take(hit, map.next_value()?)?,
            }
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(mut self, mut list: S) -> Result<(), S::Error> {
        for item in 0_usize.. {
            let more = match self.hit(|step| index(step) == Some(item)) {
                Hit { ending: 0, leading: 0 } => list.next_element::<IgnoredAny>()?.map(drop),
                Hit { ending: 0, leading } => list.next_element_seed(self.inner(leading))?,
                hit => match list.next_element()? {
                    Some(raw) => Some(self.take(hit, raw)?),
                    None => None,
                },
            };
            if more.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A name of an object, compared with the steps of the paths.
struct Name<'n, 'w, 'a, P>(&'n Walk<'w, 'a, P>);

impl<'a, P: Steps> DeserializeSeed<'a> for Name<'_, '_, 'a, P> {
    type Value = Hit;

    fn deserialize<D: Deserializer<'a>>(self, from: D) -> Result<Hit, D::Error> {
        from.deserialize_str(self)
    }
}

impl<'a, P: Steps> Visitor<'a> for Name<'_, '_, 'a, P> {
    type Value = Hit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Hit, E> {
        Ok(self.0.hit(|step| step == name))
    }
}

/// Paths in one picking: the bits of a mask.
pub const PATHS_MAX: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn picked<'a, const N: usize>(text: &'a str, paths: [&[&str]; N]) -> [Option<&'a str>; N] {
        let mut found = [Picked::default(); N];
        pick(text, &paths, &mut found).unwrap();
        found.map(Picked::raw)
    }

    #[test]
    fn values_are_picked_as_they_were_written_wherever_they_stand() {
        let text = r#" {"t\u0079pe":"a","x":[1,{"y":[true, 2.50]}],"n":null,"e":{"t":"\/"},"type":"b"} "#;
        assert_eq!(
            picked(
                text,
                [&["type"], &["x", "1", "y", "1"], &["x"], &["n"], &["e", "t"], &["e", "t", "z"], &["0"]]
            ),
            [
                Some(r#""b""#),
                Some("2.50"),
                Some(r#"[1,{"y":[true, 2.50]}]"#),
                None,
                Some(r#""\/""#),
                None,
                None
            ]
        );
        assert_eq!(picked("{}", [&["a"]]), [None]);
        assert_eq!(picked::<0>(r#"{"a":1}"#, []), []);
    }

    #[test]
    fn what_is_no_json_is_found_out_even_where_nothing_is_picked() {
        for text in ["{", r#"{"a":1}}"#, r#"{"b":[1,]}"#, r#"{"a":{"b":tru}}"#, r#"{"a" 1}"#, "{1:2}"] {
            let mut found = [Picked::default(); 1];
            assert_eq!(pick(text, &[["a", "b"].as_slice()], &mut found), Err(Malformed::NotJson), "{text}");
        }
    }

    #[test]
    fn a_picked_value_is_taken_for_what_it_is_or_blamed_by_name() {
        let mut found = [Picked::default(); 4];
        let paths: [&[&str]; 4] = [&["a"], &["b"], &["c"], &["d"]];
        pick(r#"{"a":"x\"y","b":101,"c":"//8B","d":{}}"#, &paths, &mut found).unwrap();
        let [a, b, c, d] = found;
        assert_eq!(a.text("a").unwrap().unwrap().as_str(), "x\"y");
        assert_eq!(b.text("b").unwrap().unwrap().as_str(), "101");
        assert!(a.is_text("x\"y") && c.is_text("//8B") && !b.is_text("101"));
        let mut audio = Vec::new();
        c.base64("c").unwrap().unwrap().decode(&mut audio).unwrap();
        assert_eq!(audio, [0xff, 0xff, 1]);
        assert_eq!(d.text("d").unwrap_err(), Malformed::Field("d"));
        assert_eq!(b.base64("b").unwrap_err(), Malformed::Field("b"));
    }
}
