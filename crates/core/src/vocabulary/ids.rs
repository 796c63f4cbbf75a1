//! Names of calls and streams. Ours are unguessable; ids from outside are data and never become ours.

use std::fmt;

/// Our name of a call: `call_<unix ms>_<96 random bits as hex>`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(Box<str>);

impl CallId {
    /// Makes the id of a call that began at `unix_ms`; `random` comes from the driver's secure source.
    pub fn new(unix_ms: u64, random: [u8; 12]) -> Self {
        let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("call_{unix_ms}_{hex}").into())
    }

    /// An id as it stands on a wire or in a file, at most 128 characters of it.
    pub fn from_wire(text: &str) -> Self {
        Self(text.chars().take(super::phone::PHONE_NUMBER_CHARS_MAX).collect::<String>().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Our name of a media stream: `<unix seconds>.<counter>`, unique across restarts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StreamId(Box<str>);

impl StreamId {
    /// The `counter`-th stream of this process, which began at `unix_s`.
    pub fn new(unix_s: u64, counter: u64) -> Self {
        Self(format!("{unix_s}.{counter:03}").into())
    }

    /// An id as it stands on a wire, at most 128 characters of it.
    pub fn from_wire(text: &str) -> Self {
        Self(text.chars().take(super::phone::PHONE_NUMBER_CHARS_MAX).collect::<String>().into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_forms_of_seed_000() {
        assert_eq!(
            CallId::new(1_707_204_900_000, [0xa1; 12]).as_str(),
            "call_1707204900000_a1a1a1a1a1a1a1a1a1a1a1a1"
        );
        assert_eq!(StreamId::new(1_707_204_900, 123).as_str(), "1707204900.123");
    }
}
