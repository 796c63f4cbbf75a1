//! SRTP: nothing is heard that was not protected by the phone's key, and what was is heard once.
//!
//! The first byte names the suite. Each step: a byte that says what, one that varies it, the length of the rest, the
//! rest: bytes from anywhere, or packets that the phone protects and the network changes, repeats or delays.

use std::collections::HashSet;
use std::sync::Arc;

use patchcord_core::rtp::{MasterKey, Mki, SRTP_SOURCES_MAX, SrtpKeys, SrtpSession, SrtpSuite};

/// Plays the input as a phone, its network and whoever else sends.
pub fn exercise(input: &[u8]) {
    let [first, rest @ ..] = input else { return };
    let suite = SrtpSuite::ALL[usize::from(*first) % SrtpSuite::ALL.len()];
    let mki = (first & 0x80 != 0).then_some(Mki { value: 0xA7, length: 1 });
    let mut link = Link::new(suite, mki);
    let (mut rest, mut steps) = (rest, 0);
    while let [what, vary, length, tail @ ..] = rest {
        let (bytes, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        link.take(*what, *vary, bytes);
        (rest, steps) = (tail, steps + 1);
        if steps == STEPS_MAX {
            break;
        }
    }
}

struct Link {
    suite: SrtpSuite,
    phone: SrtpSession,
    ours: SrtpSession,
    keys: u8,
    /// What the phone protected, and how it reads.
    sent: Vec<(Vec<u8>, Vec<u8>)>,
    heard: HashSet<Vec<u8>>,
    sources: HashSet<u8>,
    sequence: u16,
}

impl Link {
    fn new(suite: SrtpSuite, mki: Option<Mki>) -> Self {
        let phone = SrtpSession::new(keys(suite, 1, 2, None));
        let ours = SrtpSession::new(keys(suite, 2, 1, mki));
        // A phone that writes no identifier where one is agreed on is heard by nobody.
        let (sent, heard, sources) = (Vec::new(), HashSet::new(), HashSet::new());
        Self { suite, phone, ours, keys: 1, sent, heard, sources, sequence: 0 }
    }

    fn take(&mut self, what: u8, vary: u8, bytes: &[u8]) {
        match what % 8 {
            0 => drop(self.ours.unprotect(bytes).map(|_| panic!("somebody guessed the tag"))),
            1 => drop(self.ours.unprotect_rtcp(bytes).map(|_| panic!("somebody guessed the tag"))),
            2 => self.sequence = self.sequence.wrapping_add(u16::from(vary) << (bytes.len() % 8)),
            3 => self.again(vary),
            4 => self.changed(vary, bytes),
            5 => self.rekey(),
            _ => self.send(vary % 4, bytes),
        }
    }

    fn send(&mut self, source: u8, payload: &[u8]) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![0x80, 0];
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, source]);
        packet.extend_from_slice(payload);
        let plain = packet.clone();
        self.phone.protect(&mut packet);
        assert!(packet.len() > plain.len() && packet.len() <= plain.len() + 16, "{:?}", self.suite);
        if let Some(heard) = self.ours.unprotect(&packet) {
            assert_eq!(heard, plain);
            assert!(self.heard.insert(packet.clone()), "a packet was heard twice");
            self.sources.insert(source);
        }
        self.sent.push((packet, plain));
    }

    /// A packet comes again: it may have been too old, it was never heard before.
    fn again(&mut self, vary: u8) {
        let Some((packet, plain)) = self.sent.get(usize::from(vary) % self.sent.len().max(1)) else { return };
        if let Some(heard) = self.ours.unprotect(packet) {
            assert_eq!(heard, plain);
            assert!(self.heard.insert(packet.clone()), "a packet was heard twice");
        }
    }

    /// A packet with one byte changed is no packet of the phone's; short tags may be guessed, but not often.
    fn changed(&mut self, vary: u8, bytes: &[u8]) {
        let Some((packet, _)) = self.sent.get(usize::from(vary) % self.sent.len().max(1)) else { return };
        let mut packet = packet.clone();
        for (at, change) in bytes.iter().enumerate() {
            let place = (usize::from(vary) + at * 7) % packet.len();
            packet[place] ^= change;
        }
        if self.sent.iter().any(|(sent, _)| *sent == packet) {
            return;
        }
        assert!(self.ours.unprotect(&packet).is_none(), "a changed packet was heard");
    }

    fn rekey(&mut self) {
        self.keys = self.keys.wrapping_add(2) | 1;
        let mki = self.ours.keys().their_mki;
        let _ = self.phone.rekey(keys(self.suite, self.keys, 2, None));
        let _ = self.ours.rekey(keys(self.suite, 2, self.keys, mki));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let counts = self.ours.counts();
        assert!(self.sources.len() <= SRTP_SOURCES_MAX && counts.auth_failed < 10 * STEPS_MAX as u64);
    }
}

fn keys(suite: SrtpSuite, ours: u8, theirs: u8, their_mki: Option<Mki>) -> Arc<SrtpKeys> {
    let key = |byte: u8| MasterKey::new(suite, &vec![byte; suite.master_bytes()]);
    let (Some(ours), Some(theirs)) = (key(ours), key(theirs)) else { panic!("a key of the suite's length") };
    Arc::new(SrtpKeys { ours, theirs, their_mki })
}

/// Steps of one input.
const STEPS_MAX: usize = 100;
