//! Which extensions are in a call, or ring: nobody else is given to them by a queue meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many calls each extension has; clones show the same.
#[derive(Debug, Clone, Default)]
pub struct Occupied(Arc<Mutex<HashMap<Box<str>, usize>>>);

/// A call of an extension, for as long as it lives.
#[derive(Debug)]
pub struct Occupation {
    occupied: Occupied,
    extension: Box<str>,
}

impl Occupied {
    /// The extension has a call from here on.
    pub fn begin(&self, extension: &str) -> Occupation {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(extension.into()).or_default() += 1;
        Occupation { occupied: self.clone(), extension: extension.into() }
    }

    /// Whether it has one.
    pub fn is_busy(&self, extension: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(extension)
    }
}

impl Drop for Occupation {
    fn drop(&mut self) {
        let mut calls = self.occupied.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = calls.get_mut(&self.extension) {
            *count -= 1;
            if *count == 0 {
                calls.remove(&self.extension);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_busy_until_the_last_of_its_calls_is_over() {
        let occupied = Occupied::default();
        let (one, two) = (occupied.begin("101"), occupied.begin("101"));
        assert!(occupied.is_busy("101") && !occupied.is_busy("102"));
        drop(one);
        assert!(occupied.is_busy("101"));
        drop(two);
        assert!(!occupied.is_busy("101"));
    }
}
