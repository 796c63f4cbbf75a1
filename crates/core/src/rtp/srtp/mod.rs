//! Protected RTP and RTCP of one session, both ways (RFC 3711, RFC 6188, RFC 7714), keyed by SDES (RFC 4568).
//!
//! Above the socket and below [`RtpReceiver`](super::RtpReceiver) and [`RtpSender`](super::RtpSender), which know
//! nothing of it. Allocates nothing per packet. A packet that is not authentic changes nothing here but a counter:
//! a source is remembered once it has proved that it has the key.

mod keyed;
mod order;
mod suite;
mod transform;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Add;
use std::sync::Arc;

use self::keyed::{Header, Keyed, rtcp_source};
use self::order::{ReplayWindow, nearest};

pub use suite::{MasterKey, Mki, SrtpKeys, SrtpSuite};

/// Both directions of one session.
pub struct SrtpSession {
    keys: Arc<SrtpKeys>,
    outbound: Outbound,
    inbound: Keyed,
    /// Their keys before the last change, until a packet comes under the new ones.
    before: Option<Box<Keyed>>,
    /// In the order in which they were first heard.
    sources: Vec<Source>,
    /// The last packet that was taken apart.
    plain: Vec<u8>,
    counts: SrtpCounts,
}

/// Our one stream.
struct Outbound {
    keyed: Keyed,
    /// Index of the last RTP packet.
    rtp: Option<u64>,
    /// Index of the last RTCP packet.
    rtcp: u32,
}

/// A source that has proved that it has the key.
#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    rtp: Option<ReplayWindow>,
    rtcp: Option<ReplayWindow>,
    /// Its RTP under the key before the last change.
    before: Option<ReplayWindow>,
}

/// Packets that were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SrtpCounts {
    /// Without a valid tag: forged, damaged, unprotected or under another key.
    pub auth_failed: u64,
    /// Authentic once, but they came before, or are too old to tell.
    pub replayed: u64,
}

/// Whether our stream may go on after a change of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum OurStream {
    /// It goes on.
    GoesOn,
    /// It has to begin anew under another SSRC: its rollover counter is above zero, and what that is to a peer under
    /// a new key differs (RFC 3711 §3.3.1 keeps it, RFC 4568 §7.1.4 may begin it anew).
    BeginsAnew,
}

impl SrtpSession {
    /// A session in which nothing was said yet.
    pub fn new(keys: Arc<SrtpKeys>) -> Self {
        Self {
            outbound: Outbound { keyed: Keyed::new(&keys.ours, None), rtp: None, rtcp: 0 },
            inbound: Keyed::new(&keys.theirs, keys.their_mki),
            before: None,
            sources: Vec::new(),
            plain: Vec::new(),
            counts: SrtpCounts::default(),
            keys,
        }
    }

    /// Takes the keys of a new negotiation; a direction whose key is the same goes on as it was.
    pub fn rekey(&mut self, keys: Arc<SrtpKeys>) -> OurStream {
        if keys.theirs != self.keys.theirs || keys.their_mki != self.keys.their_mki {
            let new = Keyed::new(&keys.theirs, keys.their_mki);
            self.before = Some(Box::new(std::mem::replace(&mut self.inbound, new)));
            for source in &mut self.sources {
                // Of one that was silent under these keys the ones before tell where it stands.
                source.before = source.rtp.take().or(source.before);
                source.rtcp = None;
            }
        }
        let mut ours = OurStream::GoesOn;
        if keys.ours != self.keys.ours {
            self.outbound.keyed = Keyed::new(&keys.ours, None);
            if self.outbound.rtp.take_if(|index| *index > u64::from(u16::MAX)).is_some() {
                ours = OurStream::BeginsAnew;
            }
        }
        self.keys = keys;
        ours
    }

    /// Protects an RTP packet of our one stream, in place.
    pub fn protect(&mut self, packet: &mut Vec<u8>) {
        let Some(header) = Header::of(packet) else { return };
        let first = u64::from(header.sequence);
        let index = self.outbound.rtp.and_then(|last| nearest(last, header.sequence)).unwrap_or(first);
        self.outbound.rtp = self.outbound.rtp.max(Some(index));
        self.outbound.keyed.seal_rtp(header, index, packet);
    }

    /// Protects an RTCP packet, in place.
    pub fn protect_rtcp(&mut self, packet: &mut Vec<u8>) {
        let Some(ssrc) = rtcp_source(packet) else { return };
        // 31 bits, which five seconds apart last for three centuries.
        self.outbound.rtcp = self.outbound.rtcp.wrapping_add(1) & (u32::MAX >> 1);
        self.outbound.keyed.seal_rtcp(ssrc, self.outbound.rtcp, packet);
    }

    /// The RTP packet in a datagram; `None`, and counted, unless it is authentic and new.
    pub fn unprotect(&mut self, datagram: &[u8]) -> Option<&[u8]> {
        let Some(header) = Header::of(datagram) else { return self.refuse() };
        let at = self.position(header.ssrc);
        let source = at.and_then(|at| self.sources.get(at)).copied();
        let (window, before) = source.map_or((None, None), |source| (source.rtp, source.before));
        let sequence = header.sequence;
        let index = match window.or(before) {
            Some(window) => window.index_of(sequence),
            None => Some(u64::from(sequence)),
        };
        if let (Some(window), Some(index)) = (window, index)
            && !window.admits(index)
        {
            return self.refuse_replay();
        }
        // Under a new key the rollover counter may have begun anew.
        let anew = Some(u64::from(sequence)).filter(|_| window.is_none() && before.is_some());
        let mut candidates = index.into_iter().chain(anew.filter(|anew| Some(*anew) != index));
        let found = candidates.find(|index| self.inbound.open_rtp(header, *index, datagram, &mut self.plain));
        let Some(index) = found else { return self.unprotect_before(header, at, datagram) };
        let source = self.source(at, header.ssrc);
        match &mut source.rtp {
            Some(window) => window.accept(index),
            None => (source.rtp, source.before) = (Some(ReplayWindow::beginning(index)), None),
        }
        self.before = None;
        Some(&self.plain)
    }

    /// The RTCP packet in a datagram; `None`, and counted, unless it is authentic and new.
    pub fn unprotect_rtcp(&mut self, datagram: &[u8]) -> Option<&[u8]> {
        let Some(ssrc) = rtcp_source(datagram) else { return self.refuse() };
        let Some(index) = self.inbound.open_rtcp(ssrc, datagram, &mut self.plain).map(u64::from) else {
            return self.refuse();
        };
        let at = self.position(ssrc);
        let source = self.source(at, ssrc);
        match &mut source.rtcp {
            Some(window) if !window.admits(index) => return self.refuse_replay(),
            Some(window) => window.accept(index),
            None => source.rtcp = Some(ReplayWindow::beginning(index)),
        }
        Some(&self.plain)
    }

    /// The keys in use.
    pub fn keys(&self) -> &SrtpKeys {
        &self.keys
    }

    /// Packets that were not taken.
    pub const fn counts(&self) -> SrtpCounts {
        self.counts
    }

    /// A packet that was under way when their key changed.
    fn unprotect_before(&mut self, header: Header, at: Option<usize>, datagram: &[u8]) -> Option<&[u8]> {
        let window = at.and_then(|at| self.sources.get_mut(at)).and_then(|source| source.before.as_mut());
        let (Some(keyed), Some(window)) = (&self.before, window) else { return self.refuse() };
        let index = window.index_of(header.sequence);
        match index.filter(|index| keyed.open_rtp(header, *index, datagram, &mut self.plain)) {
            None => self.refuse(),
            Some(index) if !window.admits(index) => self.refuse_replay(),
            Some(index) => {
                window.accept(index);
                Some(&self.plain)
            }
        }
    }

    fn position(&self, ssrc: u32) -> Option<usize> {
        self.sources.iter().position(|source| source.ssrc == ssrc)
    }

    /// The source at `at`, or a new one; of too many, the one that was new longest ago is forgotten.
    fn source(&mut self, at: Option<usize>, ssrc: u32) -> &mut Source {
        let at = at.unwrap_or_else(|| {
            if self.sources.len() == SRTP_SOURCES_MAX {
                self.sources.remove(0);
            }
            self.sources.push(Source { ssrc, rtp: None, rtcp: None, before: None });
            self.sources.len() - 1
        });
        &mut self.sources[at]
    }

    fn refuse(&mut self) -> Option<&[u8]> {
        self.counts.auth_failed += 1;
        None
    }

    fn refuse_replay(&mut self) -> Option<&[u8]> {
        self.counts.replayed += 1;
        None
    }
}

impl Add for SrtpCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { auth_failed: self.auth_failed + other.auth_failed, replayed: self.replayed + other.replayed }
    }
}

impl fmt::Debug for SrtpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpSession")
            .field("keys", &self.keys)
            .field("sources", &self.sources.len())
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// Sources of one session that are remembered at a time: phones change theirs at a hold, a transfer, a conference.
pub const SRTP_SOURCES_MAX: usize = 8;
