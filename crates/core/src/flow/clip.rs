//! A recorded or rendered sound that flows play: bytes in one format, shared by every call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::media::MediaFormat;

/// A sound; clones are cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Clip {
    audio: Arc<[u8]>,
    format: MediaFormat,
}

impl Clip {
    /// A sound of whole samples in `format`.
    pub fn new(audio: impl Into<Arc<[u8]>>, format: MediaFormat) -> Self {
        Self { audio: audio.into(), format }
    }

    /// What it is made of.
    pub fn audio(&self) -> &[u8] {
        &self.audio
    }

    /// Its format.
    pub const fn format(&self) -> MediaFormat {
        self.format
    }

    /// How long it sounds.
    pub fn duration(&self) -> Duration {
        self.format.duration_of(self.audio.len())
    }
}

impl fmt::Debug for Clip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clip({} ms of {})", self.duration().as_millis(), self.format)
    }
}
