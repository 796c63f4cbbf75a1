//! The SIP messages of every call as a ladder without words: which method or status, which way, when.
//!
//! It looks over the agent's shoulder, keeps what was seen of the calls that are up, and gives it to the store when
//! they are over. No number, no name and no header goes in. The wire log beside it keeps the messages themselves, for
//! whoever switches it on.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use patchcord_core::vocabulary::CallId;
use patchcord_sip::SipTrace;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::registry::Registry;
use crate::clock::unix_ms;
use crate::store::{Store, Trace};

/// What was seen of the calls that are up; clones share it.
#[derive(Debug, Clone, Default)]
pub struct SipLadders(Arc<Mutex<Kept>>);

/// The ladder of one call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SipLadder {
    /// Its dialogs, the caller's first; a transfer has others.
    pub dialogs: Vec<SipDialog>,
}

/// The messages under one Call-ID.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SipDialog {
    /// Transport and address of the other end.
    pub peer: String,
    /// In the order in which they came and went.
    pub rungs: Vec<SipRung>,
    /// Messages for which there was no room.
    pub left_out: u64,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SipRung {
    /// When, ms since 1970.
    pub at_ms: u64,
    /// Whether it came to us.
    pub incoming: bool,
    /// The method: its own, or that of the request that it answers.
    pub method: String,
    /// The status of a response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Whether it describes media.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sdp: bool,
    /// How often the same message came again right after it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeats: u32,
    /// Which request of its dialog.
    #[serde(skip)]
    sequence: u32,
}

#[derive(Debug, Default)]
struct Kept {
    dialogs: HashMap<Box<str>, SipDialog>,
    /// Call-IDs that no call has claimed, oldest first.
    unclaimed: VecDeque<Box<str>>,
    /// The Call-IDs of each call, in the order in which they were claimed.
    calls: HashMap<Box<str>, Vec<Box<str>>>,
}

impl SipLadders {
    /// Sees a message.
    pub fn see(&self, trace: &SipTrace<'_>) {
        if trace.call_id.len() > CALL_ID_BYTES_MAX {
            return;
        }
        let Some(rung) = SipRung::read(trace.octets, trace.is_incoming, unix_ms()) else { return };
        let mut kept = self.lock();
        match kept.dialogs.get_mut(trace.call_id) {
            Some(dialog) => dialog.take(rung),
            None => {
                let peer = format!("{} {}", trace.transport.name().to_lowercase(), trace.peer);
                kept.begin(trace.call_id, SipDialog { peer, rungs: vec![rung], left_out: 0 });
            }
        }
    }

    /// The messages under the Call-ID `sip` are those of `call`, from the first on.
    pub fn claim(&self, call: &CallId, sip: &str) {
        let mut kept = self.lock();
        kept.unclaimed.retain(|known| &**known != sip);
        let dialogs = kept.calls.entry(call.as_str().into()).or_default();
        if dialogs.len() < DIALOGS_MAX && sip.len() <= CALL_ID_BYTES_MAX {
            dialogs.push(sip.into());
            kept.dialogs.entry(sip.into()).or_default();
        }
    }

    /// What was seen of a call that is up, or has just ended.
    pub fn of(&self, call_id: &str) -> Option<SipLadder> {
        let kept = self.lock();
        let dialogs = kept.calls.get(call_id)?.iter();
        Some(SipLadder { dialogs: dialogs.filter_map(|sip| kept.dialogs.get(sip)).cloned().collect() })
    }

    /// Gives the ladders of calls that are over to the store, until the end.
    pub async fn attend(self, store: Store, registry: Arc<Registry>, stop: CancellationToken) {
        let is_over = async || {
            tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(LOOK_EVERY) => false,
            }
        };
        while !is_over().await {
            let up = registry.handles().into_iter().map(|handle| handle.id.as_str().into()).collect();
            self.give_away(&store, &up, unix_ms().saturating_sub(QUIET_MS));
        }
        self.give_away(&store, &HashSet::new(), u64::MAX);
    }

    /// Gives the calls away that are not `up` and of which nothing came after `quiet_since` (ms since 1970).
    fn give_away(&self, store: &Store, up: &HashSet<Box<str>>, quiet_since: u64) {
        // Every SIP message takes the lock: what follows is none of its business.
        let over = self.lock().take_over(up, quiet_since);
        for (call_id, ladder) in over {
            if ladder.dialogs.iter().any(|dialog| !dialog.rungs.is_empty()) {
                // Numbers and words: serialisation into memory has nothing to fail at.
                store.keep_trace(&call_id, Trace::Ladder, serde_json::to_string(&ladder).unwrap_or_default());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // What a panic left half done is a ladder with a rung less.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn begin(&mut self, sip: &str, dialog: SipDialog) {
        while self.unclaimed.len() >= UNCLAIMED_MAX {
            let Some(oldest) = self.unclaimed.pop_front() else { break };
            self.dialogs.remove(&oldest);
        }
        self.unclaimed.push_back(sip.into());
        self.dialogs.insert(sip.into(), dialog);
    }

    fn take_over(&mut self, up: &HashSet<Box<str>>, quiet_since: u64) -> Vec<(Box<str>, SipLadder)> {
        let Self { dialogs, calls, .. } = self;
        let is_quiet = |sip: &str| {
            let last = dialogs.get(sip).and_then(|dialog| dialog.rungs.last());
            last.is_none_or(|rung| rung.at_ms <= quiet_since)
        };
        let over: Vec<_> = calls
            .extract_if(|call, sips| !up.contains(call) && sips.iter().all(|sip| is_quiet(sip)))
            .collect();
        let mut ladder = |sips: Vec<Box<str>>| SipLadder {
            dialogs: sips.iter().filter_map(|sip| dialogs.remove(sip)).collect(),
        };
        over.into_iter().map(|(call, sips)| (call, ladder(sips))).collect()
    }
}

impl SipDialog {
    fn take(&mut self, rung: SipRung) {
        let has_room = self.rungs.len() < RUNGS_MAX;
        match self.rungs.last_mut() {
            Some(last) if last.is_same(&rung) => last.repeats = last.repeats.saturating_add(1),
            _ if has_room => self.rungs.push(rung),
            _ => self.left_out += 1,
        }
    }
}

impl SipRung {
    /// Reads what may be kept of a message; `None` for one that belongs to no call.
    fn read(octets: &[u8], incoming: bool, at_ms: u64) -> Option<Self> {
        let mut lines = octets.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
        let first = lines.next()?;
        let cseq = lines.take_while(|line| !line.is_empty()).find_map(|line| {
            let (name, value) = line.split_at_checked(5)?;
            name.eq_ignore_ascii_case(b"cseq:").then(|| std::str::from_utf8(value).ok()).flatten()
        })?;
        let (sequence, method) = cseq.trim().split_once(' ')?;
        let method = METHODS.iter().find(|known| **known == method.trim())?;
        let status = match first.strip_prefix(b"SIP/2.0 ") {
            Some(rest) => Some(std::str::from_utf8(rest.get(..3)?).ok()?.parse().ok()?),
            None => None,
        };
        let sdp = octets.windows(SDP.len()).any(|window| window == SDP);
        let method = (*method).to_owned();
        Some(Self { at_ms, incoming, method, status, sdp, repeats: 0, sequence: sequence.parse().ok()? })
    }

    fn is_same(&self, other: &Self) -> bool {
        let of = |rung: &Self| (rung.incoming, rung.status, rung.sdp, rung.sequence);
        of(self) == of(other) && self.method == other.method
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The methods of calls; what asks for others is no call's.
const METHODS: [&str; 8] = ["INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "REFER"];
/// How a description of media begins behind the head of a message.
const SDP: &[u8] = b"\r\n\r\nv=0";

/// Dialogs of one call.
const DIALOGS_MAX: usize = 32;
/// Messages of one dialog.
const RUNGS_MAX: usize = 128;
/// Dialogs that no call has claimed.
const UNCLAIMED_MAX: usize = 512;
/// Bytes of a Call-ID.
const CALL_ID_BYTES_MAX: usize = 256;
/// How often it is looked which calls are over.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long after the last message a call that is over counts as quiet: its last confirmation comes behind its end.
const QUIET_MS: u64 = 1_500;

#[cfg(test)]
mod tests {
    use super::*;
    use patchcord_sip::Transport;

    fn see(ladders: &SipLadders, call_id: &str, octets: &str, is_incoming: bool) {
        let peer = "192.0.2.9:5062".parse().unwrap();
        let octets = octets.replace('\n', "\r\n");
        let octets = octets.as_bytes();
        ladders.see(&SipTrace { is_incoming, transport: Transport::Udp, peer, call_id, octets });
    }

    fn invite(number: &str) -> String {
        format!("INVITE sip:{number}@192.0.2.1 SIP/2.0\nFrom: <sip:{number}@x>\nCSeq: 1 INVITE\n\nv=0\n")
    }

    #[test]
    fn a_call_has_its_messages_from_the_first_on_and_nothing_of_what_they_say() {
        let ladders = SipLadders::default();
        let call = CallId::from_wire("call_1");
        see(&ladders, "a", &invite("9876543210"), true);
        see(&ladders, "a", &invite("9876543210"), true);
        ladders.claim(&call, "a");
        see(&ladders, "a", "SIP/2.0 180 Ringing <script>\nCSeq: 1 INVITE\n\n", false);
        see(&ladders, "a", "SIP/2.0 200 OK\ncseq:  1  INVITE\n\nv=0\n", false);
        see(&ladders, "b", "REGISTER sip:x SIP/2.0\nCSeq: 1 REGISTER\n\n", true);
        see(&ladders, "a", "BYE sip:x SIP/2.0\nCSeq: 2 BYE\n\n", true);
        see(&ladders, "a", "garbage", true);
        let ladder = ladders.of("call_1").unwrap();
        let [dialog] = &ladder.dialogs[..] else { panic!("{ladder:?}") };
        let rungs: Vec<_> = dialog
            .rungs
            .iter()
            .map(|rung| (rung.method.as_str(), rung.status, rung.incoming, rung.sdp, rung.repeats))
            .collect();
        let expected = [
            ("INVITE", None, true, true, 1),
            ("INVITE", Some(180), false, false, 0),
            ("INVITE", Some(200), false, true, 0),
            ("BYE", None, true, false, 0),
        ];
        assert_eq!((rungs.as_slice(), dialog.peer.as_str()), (&expected[..], "udp 192.0.2.9:5062"));
        let text = serde_json::to_string(&ladder).unwrap();
        assert!(!text.contains("98765") && !text.contains("script"), "{text}");
        assert_eq!(serde_json::from_str::<SipLadder>(&text).unwrap().dialogs[0].rungs.len(), 4);
        assert_eq!(ladders.lock().dialogs.len(), 1);
    }

    #[test]
    fn a_ladder_is_given_away_when_its_call_is_over_and_quiet() {
        let ladders = SipLadders::default();
        for name in ["up", "over", "fresh"] {
            see(&ladders, name, &invite("1"), true);
            ladders.claim(&CallId::from_wire(name), name);
        }
        let last = |kept: &Kept, name: &str| kept.dialogs[name].rungs[0].at_ms;
        let mut kept = ladders.lock();
        let quiet_since = last(&kept, "over");
        kept.dialogs.get_mut("fresh").unwrap().rungs[0].at_ms = quiet_since + 1;
        let given = kept.take_over(&HashSet::from(["up".into()]), quiet_since);
        assert_eq!(given.iter().map(|(call, _)| &**call).collect::<Vec<_>>(), ["over"]);
        assert_eq!(given[0].1.dialogs[0].rungs.len(), 1);
        assert_eq!((kept.calls.len(), kept.dialogs.len()), (2, 2));
    }

    #[test]
    fn strangers_and_talkers_find_a_bound() {
        let ladders = SipLadders::default();
        for stranger in 0..2_000 {
            see(&ladders, &format!("s{stranger}"), &invite("1"), true);
        }
        assert_eq!(ladders.lock().dialogs.len(), UNCLAIMED_MAX);
        ladders.claim(&CallId::from_wire("call_1"), "s1999");
        for sequence in 2..1_000 {
            see(&ladders, "s1999", &format!("INFO sip:x SIP/2.0\nCSeq: {sequence} INFO\n\n"), true);
        }
        for leg in 0..100 {
            ladders.claim(&CallId::from_wire("call_1"), &format!("leg{leg}"));
        }
        see(&ladders, &"x".repeat(CALL_ID_BYTES_MAX + 1), &invite("1"), true);
        let ladder = ladders.of("call_1").unwrap();
        assert_eq!((ladder.dialogs.len(), ladder.dialogs[0].rungs.len()), (DIALOGS_MAX, RUNGS_MAX));
        assert_eq!(ladder.dialogs[0].left_out, 999 - RUNGS_MAX as u64);
        assert!(ladders.lock().dialogs.len() < UNCLAIMED_MAX + DIALOGS_MAX);
    }
}
