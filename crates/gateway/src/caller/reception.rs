//! How well an RTP stream arrives: what is missing, late or doubled, jitter (RFC 3550 §6.4.1), gaps.
//!
//! It looks at sequence numbers, timestamps and arrival times alone, before any reordering: it judges the
//! sender and the network, not a receiver.

use std::time::Duration;

use patchcord_core::rtp::RtpHeader;
use patchcord_core::vocabulary::Moment;

use super::histogram::Histogram;

/// Follows one stream at 8 kHz.
#[derive(Debug, Default)]
pub struct Reception {
    stream: Option<Stream>,
    tally: ReceptionTally,
}

/// What was counted, of one stream or of many.
#[derive(Debug, Clone, Default)]
pub struct ReceptionTally {
    /// Packets that arrived, doubled ones left out.
    pub received: u64,
    /// Sequence numbers that never arrived.
    pub missing: u64,
    /// Packets that came after one that was sent later.
    pub late: u64,
    /// Packets that came again.
    pub doubled: u64,
    /// Times that a new stream began in the middle.
    pub restarts: u64,
    /// Interarrival jitter, the largest of all streams.
    pub jitter: Duration,
    /// By how much the time between two packets in order differs from that between their timestamps.
    pub deviation: Histogram,
    /// Times without a packet that a phone with a buffer of 40 ms would have heard.
    pub gaps: u64,
    /// The longest time without a packet.
    pub longest_gap: Duration,
}

/// Where a packet belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The first of a stream, or of another one.
    First,
    /// The one after the last.
    Next,
    /// After the last and this many that have not come.
    After(u16),
    /// Before the last: it comes late.
    Late,
    /// It was there already.
    Doubled,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    newest: u16,
    /// Bit n: the packet n before the newest has come.
    seen: u64,
    timestamp: u32,
    arrived: Moment,
    /// In nanoseconds.
    jitter: f64,
}

impl Reception {
    /// A packet arrives; `counted` if within the time that is measured.
    pub fn packet(&mut self, header: RtpHeader, at: Moment, counted: bool) -> Place {
        let place = match self.stream.as_mut().filter(|stream| stream.ssrc == header.ssrc) {
            Some(stream) => stream.place(header.sequence),
            None => Place::First,
        };
        if counted {
            self.count(place, header, at);
        }
        self.follow(place, header, at);
        place
    }

    /// What was counted so far.
    pub fn tally(&self) -> &ReceptionTally {
        &self.tally
    }

    fn count(&mut self, place: Place, header: RtpHeader, at: Moment) {
        let tally = &mut self.tally;
        tally.received += u64::from(place != Place::Doubled);
        match place {
            Place::First => tally.restarts += u64::from(self.stream.is_some()),
            Place::Next => {}
            Place::After(missing) => tally.missing += u64::from(missing),
            // It was counted as missing when the packet after it came.
            Place::Late => {
                tally.late += 1;
                tally.missing = tally.missing.saturating_sub(1);
            }
            Place::Doubled => tally.doubled += 1,
        }
        let Some(stream) = &self.stream else { return };
        if matches!(place, Place::Next | Place::After(_)) {
            let (pause, deviation) = stream.since_last(header, at);
            tally.deviation.add(deviation);
            tally.gaps += u64::from(pause >= AUDIBLE_GAP && deviation >= AUDIBLE_GAP / 3);
            tally.longest_gap = tally.longest_gap.max(pause);
            tally.jitter = tally.jitter.max(Duration::from_nanos(stream.jitter as u64));
        }
    }

    fn follow(&mut self, place: Place, header: RtpHeader, at: Moment) {
        match (place, &mut self.stream) {
            (Place::Next | Place::After(_), Some(stream)) => {
                let (_, deviation) = stream.since_last(header, at);
                stream.jitter += (deviation.as_nanos() as f64 - stream.jitter) / 16.0;
                stream.timestamp = header.timestamp;
                stream.arrived = at;
            }
            (Place::First, stream) => {
                *stream = Some(Stream {
                    ssrc: header.ssrc,
                    newest: header.sequence,
                    seen: 1,
                    timestamp: header.timestamp,
                    arrived: at,
                    jitter: 0.0,
                });
            }
            (Place::Next | Place::After(_) | Place::Late | Place::Doubled, _) => {}
        }
    }
}

impl Stream {
    fn place(&mut self, sequence: u16) -> Place {
        let ahead = sequence.wrapping_sub(self.newest) as i16;
        let distance = u32::from(ahead.unsigned_abs());
        if ahead > 0 {
            self.newest = sequence;
            self.seen = self.seen.checked_shl(distance).unwrap_or(0) | 1;
            return if ahead == 1 { Place::Next } else { Place::After(ahead.unsigned_abs() - 1) };
        }
        let Some(bit) = 1u64.checked_shl(distance) else { return Place::Late };
        let was_seen = self.seen & bit != 0;
        self.seen |= bit;
        if was_seen { Place::Doubled } else { Place::Late }
    }

    /// The time since the last packet, and how far that is from the time between their timestamps.
    fn since_last(&self, header: RtpHeader, at: Moment) -> (Duration, Duration) {
        let pause = at - self.arrived;
        let samples = header.timestamp.wrapping_sub(self.timestamp);
        let meant = Duration::from_nanos(u64::from(samples).saturating_mul(125_000));
        (pause, pause.abs_diff(meant))
    }
}

impl ReceptionTally {
    /// The share (0 to 1) of sequence numbers that never arrived.
    pub fn loss(&self) -> f64 {
        let sent = self.received + self.missing;
        if sent == 0 { 0.0 } else { self.missing as f64 / sent as f64 }
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.missing += other.missing;
        self.late += other.late;
        self.doubled += other.doubled;
        self.restarts += other.restarts;
        self.jitter = self.jitter.max(other.jitter);
        self.deviation.merge(&other.deviation);
        self.gaps += other.gaps;
        self.longest_gap = self.longest_gap.max(other.longest_gap);
    }
}

/// A frame of 20 ms and a buffer of 40.
const AUDIBLE_GAP: Duration = Duration::from_millis(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn header(number: u16) -> RtpHeader {
        let sequence = 65_530u16.wrapping_add(number);
        let timestamp = u32::MAX.wrapping_add(u32::from(number) * 160);
        RtpHeader { marker: false, payload_type: 0, ssrc: 1, sequence, timestamp }
    }

    fn at_ms(ms: u64) -> Moment {
        Moment::from_millis(ms)
    }

    #[test]
    fn missing_late_and_doubled_packets_are_told_apart_across_the_wrap() {
        let mut reception = Reception::default();
        let order = [0, 1, 2, 5, 4, 4, 6, 7, 7, 8, 9, 10];
        let places: Vec<_> =
            order.iter().map(|n| reception.packet(header(*n), at_ms(u64::from(*n) * 20), true)).collect();
        assert_eq!(
            places[..7],
            [
                Place::First,
                Place::Next,
                Place::Next,
                Place::After(2),
                Place::Late,
                Place::Doubled,
                Place::Next
            ]
        );
        let tally = reception.tally();
        assert_eq!((tally.received, tally.missing, tally.late, tally.doubled), (10, 1, 1, 2));
        assert!((tally.loss() - 1.0 / 11.0).abs() < 1e-9);
    }

    #[test]
    fn an_even_stream_has_no_jitter_and_an_uneven_one_that_of_the_standard() {
        let mut even = Reception::default();
        let mut uneven = Reception::default();
        for n in 0..1_000u16 {
            even.packet(header(n), at_ms(u64::from(n) * 20), true);
            uneven.packet(header(n), at_ms(u64::from(n) * 20 + 4 * u64::from(n % 2)), true);
        }
        assert_eq!(even.tally().jitter, Duration::ZERO);
        assert!(uneven.tally().jitter.abs_diff(Duration::from_millis(4)) < Duration::from_micros(10));
        assert_eq!((uneven.tally().gaps, uneven.tally().restarts), (0, 0));
    }

    #[test]
    fn a_stall_is_a_gap_and_a_pause_that_the_timestamps_show_is_none() {
        let mut reception = Reception::default();
        reception.packet(header(0), at_ms(0), true);
        reception.packet(header(1), at_ms(120), true);
        assert_eq!((reception.tally().gaps, reception.tally().longest_gap), (1, Duration::from_millis(120)));
        let after_silence = RtpHeader { timestamp: header(1).timestamp.wrapping_add(8_000), ..header(2) };
        reception.packet(after_silence, at_ms(1_120), true);
        assert_eq!(reception.tally().gaps, 1);
    }

    #[test]
    fn another_source_begins_anew() {
        let mut reception = Reception::default();
        reception.packet(header(0), at_ms(0), true);
        let other = RtpHeader { ssrc: 2, sequence: 9, timestamp: 5, ..header(1) };
        assert_eq!(reception.packet(other, at_ms(20), true), Place::First);
        assert_eq!((reception.tally().restarts, reception.tally().missing), (1, 0));
    }
}
