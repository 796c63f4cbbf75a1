//! How much one wake of a call takes from a WebSocket before its other sources have their turn.

use crate::net::Received;

/// What one wake has taken from a WebSocket.
#[derive(Default)]
pub(super) struct Portion {
    messages: usize,
    bytes: usize,
}

impl Portion {
    pub(super) fn has_room(&self) -> bool {
        self.messages < MESSAGES_PER_WAKE_MAX && self.bytes < MESSAGE_BYTES_PER_WAKE_MAX
    }

    pub(super) fn take(&mut self, received: &Received) {
        self.messages += 1;
        self.bytes += match received {
            Received::Text(text) => text.len(),
            Received::Binary(bytes) => bytes.len(),
            Received::Ended(_) => 0,
        };
    }
}

const MESSAGES_PER_WAKE_MAX: usize = 64;
const MESSAGE_BYTES_PER_WAKE_MAX: usize = 64 << 10;
