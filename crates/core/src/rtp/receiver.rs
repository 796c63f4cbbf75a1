//! What a call hears through: datagrams in, audio, losses and digits out, in order and as soon as they are certain.
//!
//! Composes the latch (from whom), the order (when), the events (digits) and the statistics. Not a jitter buffer
//! and not a clock: when nothing comes, nothing is said; the call's own clock feeds silence then.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::latch::{Admission, Latch};
use super::packet::RtpPacket;
use super::remote_reports::RemoteReports;
use super::reorder::{Arrival, Released, Reorder};
use super::rtcp::{self, ReportBlock, RtcpPacket};
use super::statistics::{RtpCounts, RtpStatistics};
use super::telephone_event::EventReceiver;
use crate::media::{LineCodec, Spread};
use crate::vocabulary::{Digit, Moment};

/// What was negotiated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpReceiveSettings {
    /// Where the SDP wants media.
    pub remote: SocketAddr,
    /// Who signals: media may come from that host instead, behind a NAT.
    pub signalling: Option<IpAddr>,
    /// Audio by payload type.
    pub payloads: Vec<(u8, LineCodec)>,
    /// Payload type and clock of telephone events.
    pub telephone_event: Option<(u8, u32)>,
    /// What a packet is expected to last; any length is taken.
    pub ptime: Duration,
}

/// What is heard, in the order of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtpEvent<'a> {
    /// Audio of one packet.
    Audio {
        /// As it came.
        payload: &'a [u8],
        /// Of its payload type.
        codec: LineCodec,
        /// Of its first sample.
        timestamp: u32,
        /// The time that it plays, in ticks of the codec's clock.
        ticks: u64,
    },
    /// Audio was lost before what follows: at most a second, more is a restart.
    Lost {
        /// Ticks that are missing.
        ticks: u64,
        /// The payload that follows, in which some codecs say the last of them once more; empty for none.
        next: &'a [u8],
    },
    /// The phone sent nothing for a while, without loss: silence suppression, or a digit was sounding.
    Paused {
        /// Ticks that the timestamps skipped.
        ticks: u64,
    },
    /// Comfort noise (RFC 3389), to be heard as silence.
    Silence {
        /// Ticks of one packet.
        ticks: u64,
    },
    /// A digit ended.
    Digit {
        /// Which.
        digit: Digit,
        /// How long it sounded.
        duration: Duration,
    },
}

/// One received stream.
#[derive(Debug)]
pub struct RtpReceiver {
    latch: Latch,
    ssrc: Option<u32>,
    reorder: Reorder,
    stream: Stream,
    statistics: RtpStatistics,
    reports: RemoteReports,
}

/// The stream behind the order: what the next packet means.
#[derive(Debug)]
struct Stream {
    payloads: Vec<(u8, LineCodec)>,
    telephone_event: Option<(u8, u32)>,
    events: EventReceiver,
    ptime: Duration,
    /// The timestamp that follows what was heard.
    expected: Option<u32>,
    /// The last audio's codec, and its ticks per packet.
    last: Option<(LineCodec, u64)>,
    /// Packets before the next one that never came.
    missing: u64,
    ticks_heard: u64,
    lost: u64,
    restarts: u64,
    renumbered: bool,
}

impl RtpReceiver {
    /// A stream of which nothing has come yet.
    pub fn new(settings: RtpReceiveSettings) -> Self {
        let clock_rate = settings.telephone_event.map_or(8_000, |event| event.1);
        Self {
            latch: Latch::new(settings.remote, settings.signalling),
            ssrc: None,
            reorder: Reorder::new(),
            stream: Stream {
                payloads: settings.payloads,
                telephone_event: settings.telephone_event,
                events: EventReceiver::new(clock_rate),
                ptime: settings.ptime,
                expected: None,
                last: None,
                missing: 0,
                ticks_heard: 0,
                lost: 0,
                restarts: 0,
                renumbered: false,
            },
            statistics: RtpStatistics::default(),
            reports: RemoteReports::default(),
        }
    }

    /// Takes a datagram and tells what can be heard by it. Returns whether it came from the known address.
    pub fn handle_packet(
        &mut self,
        now: Moment,
        source: SocketAddr,
        datagram: &[u8],
        hear: &mut impl FnMut(RtpEvent<'_>),
    ) -> bool {
        let packet = match RtpPacket::parse(datagram) {
            Ok(packet) => packet,
            Err(_) => {
                self.statistics.counts.malformed += 1;
                return false;
            }
        };
        let header = packet.header;
        let known_payload = self.stream.knows(header.payload_type);
        // Nobody is let in by a packet that could not be heard.
        if !known_payload && !self.latch.is_known(source) {
            self.statistics.counts.strangers += 1;
            return false;
        }
        if !known_payload && self.ssrc.is_some_and(|ssrc| ssrc != header.ssrc) {
            // Nor does one say that another source speaks.
            self.statistics.counts.unknown_payload += 1;
            return true;
        }
        match self.latch.admit(source, &header) {
            Admission::Known => {}
            Admission::Moved => self.statistics.counts.address_changes += 1,
            Admission::Stranger => {
                self.statistics.counts.strangers += 1;
                return false;
            }
        }
        if self.ssrc.is_some_and(|ssrc| ssrc != header.ssrc) {
            self.statistics.counts.ssrc_changes += 1;
            self.begin_anew(now, hear);
        }
        self.ssrc = Some(header.ssrc);
        let codec = self.stream.codec_of(header.payload_type);
        let clock_rate = codec.map_or(8_000, LineCodec::clock_rate);
        self.statistics.arrived(header.ssrc, header.sequence, clock_rate);
        self.statistics.counts.unknown_payload += u64::from(!known_payload);
        if codec.is_some() {
            self.statistics.timed(now, header.timestamp, clock_rate);
        }
        let stream = &mut self.stream;
        let arrival = self.reorder.push(now, header.sequence, datagram, &mut |released| {
            stream.take(now, released, hear);
        });
        match arrival {
            Arrival::InOrder | Arrival::Held => {}
            Arrival::Overtaken => self.statistics.counts.reordered += 1,
            Arrival::Late => self.statistics.counts.late += 1,
            Arrival::Duplicate => self.statistics.counts.duplicates += 1,
        }
        if std::mem::take(&mut self.stream.renumbered) {
            self.statistics.restarted();
        }
        true
    }

    /// Whether a datagram may be the phone's by its source; a stranger's is counted. Costs less than deciphering.
    pub fn may_come_from(&mut self, source: SocketAddr) -> bool {
        let known = self.latch.may_come_from(source);
        self.statistics.counts.strangers += u64::from(!known);
        known
    }

    /// Takes an RTCP datagram; `true` if the phone says that its stream is over.
    pub fn handle_rtcp(&mut self, now: Moment, source: SocketAddr, datagram: &[u8]) -> bool {
        if !self.latch.is_from_remote_host(source) {
            self.statistics.counts.strangers += 1;
            return false;
        }
        let mut goodbye = false;
        let clock_rate = self.stream.payloads.first().map_or(8_000, |first| first.1.clock_rate());
        for packet in rtcp::packets(datagram) {
            match packet {
                Ok(RtcpPacket::SenderReport { ssrc, info, blocks }) => {
                    if self.ssrc == Some(ssrc) {
                        self.statistics.reported(now, info.ntp);
                    }
                    self.reports.take(blocks, clock_rate, now);
                }
                Ok(RtcpPacket::ReceiverReport { blocks, .. }) => self.reports.take(blocks, clock_rate, now),
                Ok(RtcpPacket::ExtendedReport(Some(metrics))) => self.reports.take_voip(metrics),
                Ok(RtcpPacket::Goodbye(mut sources)) => {
                    goodbye |= self.ssrc.is_some_and(|ssrc| sources.any(|source| source == ssrc));
                }
                Ok(_) => {}
                Err(_) => self.statistics.counts.malformed += 1,
            }
        }
        goodbye
    }

    /// When [`RtpReceiver::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Moment> {
        match (self.reorder.poll_timeout(), self.stream.events.poll_timeout()) {
            (Some(order), Some(events)) => Some(order.min(events)),
            (order, events) => order.or(events),
        }
    }

    /// Gives up on packets that did not come, and ends digits whose end was lost.
    pub fn handle_timeout(&mut self, now: Moment, hear: &mut impl FnMut(RtpEvent<'_>)) {
        let stream = &mut self.stream;
        self.reorder.handle_timeout(now, &mut |released| stream.take(now, released, hear));
        self.stream
            .events
            .handle_timeout(now, &mut |digit, duration| hear(RtpEvent::Digit { digit, duration }));
    }

    /// Takes a new negotiation: another address begins a new search for the source, the same one keeps it.
    pub fn renegotiate(
        &mut self,
        now: Moment,
        settings: RtpReceiveSettings,
        hear: &mut impl FnMut(RtpEvent<'_>),
    ) {
        self.relatch(settings.remote);
        self.statistics.interrupted();
        let stream = &mut self.stream;
        if let Some((_, clock_rate)) = settings.telephone_event
            && stream.telephone_event != settings.telephone_event
        {
            stream
                .events
                .set_clock(clock_rate, &mut |digit, duration| hear(RtpEvent::Digit { digit, duration }));
        }
        if stream.payloads != settings.payloads {
            self.reorder.flush(&mut |released| stream.take(now, released, hear));
        }
        let clock = |payloads: &[(u8, LineCodec)]| payloads.first().map(|first| first.1.clock_rate());
        if clock(&stream.payloads) != clock(&settings.payloads) {
            // Timestamps of two clocks tell no time between them.
            (stream.expected, stream.last, stream.missing) = (None, None, 0);
        }
        stream.payloads = settings.payloads;
        stream.telephone_event = settings.telephone_event;
        stream.ptime = settings.ptime;
    }

    /// The SDP names this address: see [`Latch::relatch`].
    pub fn relatch(&mut self, sdp: SocketAddr) {
        self.latch.relatch(sdp);
    }

    /// Where to send.
    pub fn remote(&self) -> SocketAddr {
        self.latch.remote()
    }

    /// Whether anything acceptable came yet.
    pub const fn is_latched(&self) -> bool {
        self.latch.is_latched()
    }

    /// Ticks told so far as audio, lost, paused or silence.
    pub const fn ticks_heard(&self) -> u64 {
        self.stream.ticks_heard
    }

    /// Packets by what became of them.
    pub const fn counts(&self) -> RtpCounts {
        let mut counts = self.statistics.counts;
        counts.lost = self.stream.lost;
        counts.restarts += self.stream.restarts;
        counts
    }

    /// Interarrival jitter (RFC 3550 §6.4.1).
    pub fn jitter(&self) -> Duration {
        self.statistics.jitter()
    }

    /// Jitter in microseconds at every arrival, and the longest time between two arrivals.
    pub const fn arrivals(&self) -> (Spread, Duration) {
        self.statistics.arrivals()
    }

    /// What the phone reports of our stream.
    pub const fn reports(&self) -> &RemoteReports {
        &self.reports
    }

    /// A report of ours with that NTP time left.
    pub fn sent_report(&mut self, ntp: u64, now: Moment) {
        self.reports.sent(ntp, now);
    }

    /// The block of our next report about this stream.
    pub fn report_block(&mut self, now: Moment) -> Option<ReportBlock> {
        self.statistics.report_block(now)
    }

    /// Another source speaks: what is held of the old one is told, its numbers mean nothing for the new one.
    fn begin_anew(&mut self, now: Moment, hear: &mut impl FnMut(RtpEvent<'_>)) {
        let stream = &mut self.stream;
        self.reorder.flush(&mut |released| stream.take(now, released, hear));
        self.reorder.reset();
        stream.events.reset(&mut |digit, duration| hear(RtpEvent::Digit { digit, duration }));
        (stream.expected, stream.missing) = (None, 0);
    }
}

impl Stream {
    /// Takes what the order releases.
    fn take(&mut self, now: Moment, released: Released<'_>, hear: &mut impl FnMut(RtpEvent<'_>)) {
        match released {
            Released::Packet(bytes) => {
                if let Ok(packet) = RtpPacket::parse(bytes) {
                    self.take_packet(now, &packet, hear);
                }
            }
            Released::Missing(count) => {
                self.missing += u64::from(count);
                self.lost += u64::from(count);
            }
            Released::Restart => {
                (self.expected, self.missing, self.renumbered) = (None, 0, true);
                self.events.reset(&mut |digit, duration| hear(RtpEvent::Digit { digit, duration }));
            }
        }
    }

    fn take_packet(&mut self, now: Moment, packet: &RtpPacket<'_>, hear: &mut impl FnMut(RtpEvent<'_>)) {
        let RtpPacket { header, payload, .. } = *packet;
        if self.is_event(header.payload_type) {
            let mut tell = |digit, duration| hear(RtpEvent::Digit { digit, duration });
            return self.events.handle(now, header.timestamp, payload, &mut tell);
        }
        if let Some(codec) = self.codec_of(header.payload_type) {
            let ticks = codec.ticks_of(payload);
            // An empty packet keeps a NAT's mapping alive.
            if ticks > 0 {
                self.tell_gap(header.timestamp, codec.clock_rate(), payload, hear);
                self.last = Some((codec, ticks));
                self.advance(header.timestamp, ticks);
                hear(RtpEvent::Audio { payload, codec, timestamp: header.timestamp, ticks });
            }
        } else if header.payload_type == COMFORT_NOISE {
            let Some(codec) = self.last.map(|last| last.0).or(self.payloads.first().map(|first| first.1))
            else {
                return;
            };
            let ticks = self.last.map_or_else(|| codec.ticks_in(self.ptime), |last| last.1);
            self.tell_gap(header.timestamp, codec.clock_rate(), &[], hear);
            self.advance(header.timestamp, ticks);
            hear(RtpEvent::Silence { ticks });
        }
    }

    /// Tells what lies between what was heard and `timestamp`.
    fn tell_gap(
        &mut self,
        timestamp: u32,
        clock_rate: u32,
        next: &[u8],
        hear: &mut impl FnMut(RtpEvent<'_>),
    ) {
        let missing = std::mem::take(&mut self.missing);
        let Some(expected) = self.expected else { return };
        let gap = timestamp.wrapping_sub(expected);
        if gap == 0 {
            return;
        }
        // Backwards, or further than loss or a pause can be told from a clock that was set: go on from here.
        if gap > clock_rate && (missing > 0 || gap > clock_rate.saturating_mul(PAUSE_MAX_S)) {
            self.restarts += 1;
            return;
        }
        let ticks = u64::from(gap);
        self.ticks_heard += ticks;
        // What is missing lasted as long as its packets, at most; the rest of the gap is a key or a pause.
        let each = self.last.map_or(ticks, |(_, each)| each);
        let lost = ticks.min(missing.saturating_mul(each));
        if lost > 0 {
            // Behind a key the next packet knows nothing of what was lost before it.
            let next = if ticks == lost { next } else { &[] };
            hear(RtpEvent::Lost { ticks: lost, next });
        }
        if ticks > lost {
            hear(RtpEvent::Paused { ticks: ticks - lost });
        }
    }

    fn advance(&mut self, timestamp: u32, ticks: u64) {
        self.expected = Some(timestamp.wrapping_add(ticks as u32));
        self.ticks_heard += ticks;
    }

    fn knows(&self, payload_type: u8) -> bool {
        payload_type == COMFORT_NOISE || self.is_event(payload_type) || self.codec_of(payload_type).is_some()
    }

    fn is_event(&self, payload_type: u8) -> bool {
        self.telephone_event.is_some_and(|event| event.0 == payload_type)
    }

    fn codec_of(&self, payload_type: u8) -> Option<LineCodec> {
        self.payloads.iter().find(|known| known.0 == payload_type).map(|known| known.1)
    }
}

/// Static payload type of comfort noise at 8 kHz (RFC 3389 §4).
const COMFORT_NOISE: u8 = 13;
/// A phone that suppresses silence may be quiet for so long.
const PAUSE_MAX_S: u32 = 60;

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
