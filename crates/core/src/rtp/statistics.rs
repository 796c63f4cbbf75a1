//! What a stream was like: counters for the call's record, and loss and jitter for reports (RFC 3550 §6.4.1, A.8).

use std::time::Duration;

use super::rtcp::ReportBlock;
use crate::media::Spread;
use crate::vocabulary::Moment;

/// Packets by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RtpCounts {
    /// From the known address, of any kind.
    pub received: u64,
    /// Never came in time.
    pub lost: u64,
    /// Came after their place was given up.
    pub late: u64,
    /// Came twice.
    pub duplicates: u64,
    /// Were overtaken and put in their place.
    pub reordered: u64,
    /// From somebody else; not heard.
    pub strangers: u64,
    /// No RTP.
    pub malformed: u64,
    /// Of a payload type that was not negotiated.
    pub unknown_payload: u64,
    /// Changes of the synchronisation source.
    pub ssrc_changes: u64,
    /// Changes of the address, the first latch on another than the SDP's included.
    pub address_changes: u64,
    /// Jumps of sequence number or timestamp that are no loss.
    pub restarts: u64,
}

/// Counters and report figures of one received stream.
#[derive(Debug, Clone, Default)]
pub struct RtpStatistics {
    /// Packets by what became of them.
    pub counts: RtpCounts,
    source: Option<Source>,
    /// Middle 32 bits of the last sender report's time, and when it came.
    last_report: Option<(u32, Moment)>,
    /// Jitter at every arrival, in microseconds.
    jitter_us: Spread,
    last_arrival: Option<Moment>,
    longest_gap: Duration,
}

/// One synchronisation source.
#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    first: u32,
    /// Highest sequence number, with its cycles above.
    highest: u32,
    received: u32,
    /// Expected and received at the last report.
    prior: (u32, u32),
    /// Arrival less timestamp of the last packet, in ticks.
    transit: Option<u32>,
    /// Sixteen times the jitter, in ticks.
    jitter: u32,
    clock_rate: u32,
}

impl RtpStatistics {
    /// Takes note of a packet from the known address.
    pub(super) fn arrived(&mut self, ssrc: u32, sequence: u16, clock_rate: u32) {
        self.counts.received += 1;
        let new = || Source {
            ssrc,
            first: u32::from(sequence),
            highest: u32::from(sequence),
            received: 0,
            prior: (0, 0),
            transit: None,
            jitter: 0,
            clock_rate,
        };
        let source = match &mut self.source {
            Some(source) if source.ssrc == ssrc => source,
            other => other.insert(new()),
        };
        let ahead = sequence.wrapping_sub(source.highest as u16);
        if ahead < 0x8000 {
            source.highest = source.highest.wrapping_add(u32::from(ahead));
        }
        source.received = source.received.wrapping_add(1);
    }

    /// The source began to number anew.
    pub(super) fn restarted(&mut self) {
        self.counts.restarts += 1;
        self.source = None;
    }

    /// Takes note of the arrival of audio (RFC 3550 §A.8).
    pub(super) fn timed(&mut self, now: Moment, timestamp: u32, clock_rate: u32) {
        if let Some(before) = self.last_arrival.replace(now) {
            self.longest_gap = self.longest_gap.max(now - before);
        }
        let Some(source) = &mut self.source else { return };
        let ticks = u128::from(now.as_nanos()) * u128::from(clock_rate) / 1_000_000_000;
        let transit = (ticks as u32).wrapping_sub(timestamp);
        let before = source.transit.replace(transit);
        source.clock_rate = clock_rate;
        let Some(before) = before else { return };
        let difference = (transit.wrapping_sub(before) as i32).unsigned_abs();
        // More than that is no jitter but a clock that was set.
        if difference < clock_rate {
            source.jitter = source.jitter.saturating_add(difference) - ((source.jitter + 8) >> 4);
            self.jitter_us.take(u64::from(source.jitter >> 4) * 1_000_000 / u64::from(clock_rate.max(1)));
        }
    }

    /// The stream was agreed on anew: what lies between is no gap and no jitter, also where the clock is another.
    pub(super) fn interrupted(&mut self) {
        self.last_arrival = None;
        if let Some(source) = &mut self.source {
            source.transit = None;
        }
    }

    /// Jitter in microseconds, and the longest time between two arrivals.
    pub const fn arrivals(&self) -> (Spread, Duration) {
        (self.jitter_us, self.longest_gap)
    }

    /// Takes note of the phone's sender report.
    pub(super) fn reported(&mut self, now: Moment, ntp: u64) {
        self.last_report = Some(((ntp >> 16) as u32, now));
    }

    /// Interarrival jitter.
    pub fn jitter(&self) -> Duration {
        self.source.map_or(Duration::ZERO, |source| {
            let nanos = u64::from(source.jitter >> 4) * 1_000_000_000 / u64::from(source.clock_rate.max(1));
            Duration::from_nanos(nanos)
        })
    }

    /// The block of a report about what came since the last one; `None` before anything did.
    pub fn report_block(&mut self, now: Moment) -> Option<ReportBlock> {
        let (last_report, delay) = self.last_report.map_or((0, 0), |(ntp, at)| {
            let delay = (now - at).as_nanos() * 65_536 / 1_000_000_000;
            (ntp, u32::try_from(delay).unwrap_or(u32::MAX))
        });
        let source = self.source.as_mut()?;
        let expected = source.highest.wrapping_sub(source.first).wrapping_add(1);
        let (expected_now, received_now) =
            (expected.wrapping_sub(source.prior.0), source.received.wrapping_sub(source.prior.1));
        source.prior = (expected, source.received);
        let lost_now = expected_now.saturating_sub(received_now);
        let fraction = (u64::from(lost_now) * 256).checked_div(u64::from(expected_now)).unwrap_or(0);
        let lost = i64::from(expected) - i64::from(source.received);
        Some(ReportBlock {
            ssrc: source.ssrc,
            fraction_lost: u8::try_from(fraction).unwrap_or(u8::MAX),
            lost: lost.clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest_sequence: source.highest,
            jitter: source.jitter >> 4,
            last_report,
            delay_since_last_report: delay,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_is_reported_for_the_interval_and_in_all() {
        let mut statistics = RtpStatistics::default();
        assert_eq!(statistics.report_block(Moment::START), None);
        for sequence in (65_530..=65_535).chain(0..4).filter(|sequence| *sequence != 2) {
            statistics.arrived(7, sequence, 8_000);
        }
        let block = statistics.report_block(Moment::START).unwrap();
        assert_eq!((block.ssrc, block.lost, block.fraction_lost), (7, 1, 25));
        assert_eq!(block.highest_sequence, 65_536 + 3);
        statistics.arrived(7, 4, 8_000);
        let block = statistics.report_block(Moment::START).unwrap();
        assert_eq!((block.lost, block.fraction_lost), (1, 0));
    }

    #[test]
    fn steady_arrival_has_no_jitter_and_unsteady_arrival_has_its_own() {
        let mut statistics = RtpStatistics::default();
        for frame in 0..1_000u32 {
            statistics.arrived(7, frame as u16, 8_000);
            statistics.timed(Moment::from_millis(20 * u64::from(frame)), frame.wrapping_mul(160), 8_000);
        }
        assert_eq!(statistics.jitter(), Duration::ZERO);
        for frame in 1_000..3_000u32 {
            let late = u64::from(frame % 2) * 10;
            statistics.arrived(7, frame as u16, 8_000);
            statistics.timed(
                Moment::from_millis(20 * u64::from(frame) + late),
                frame.wrapping_mul(160),
                8_000,
            );
        }
        let off = statistics.jitter().as_secs_f64() - 0.010;
        assert!(off.abs() < 0.0005, "{:?}", statistics.jitter());
        // A timestamp that jumps is no jitter.
        statistics.timed(Moment::from_millis(60_000), 3_000_000_000, 8_000);
        assert!((statistics.jitter().as_secs_f64() - 0.010).abs() < 0.0005);
    }

    #[test]
    fn the_phones_report_is_answered_with_its_time_and_our_delay() {
        let mut statistics = RtpStatistics::default();
        statistics.arrived(7, 1, 8_000);
        statistics.reported(Moment::from_millis(1_000), 0x1122_3344_5566_7788);
        let block = statistics.report_block(Moment::from_millis(1_500)).unwrap();
        assert_eq!((block.last_report, block.delay_since_last_report), (0x3344_5566, 32_768));
    }
}
