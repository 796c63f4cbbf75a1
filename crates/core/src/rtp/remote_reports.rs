//! What the phone reports of our stream: loss, jitter, round trip (RFC 3550 §6.4, RFC 3611 §4.7).

use std::time::Duration;

use super::rtcp::{ReportBlock, ReportBlocks, VoipMetrics};
use crate::media::Spread;
use crate::vocabulary::Moment;

/// The phone's reports of one call.
#[derive(Debug, Clone, Default)]
pub struct RemoteReports {
    reports: u64,
    /// Loss since the report before, in 256ths.
    lost: Spread,
    /// In microseconds.
    jitter: Spread,
    /// In microseconds.
    round_trip: Spread,
    last_round_trip: Option<Duration>,
    /// Middle 32 bits of the NTP times of our last reports, and when they left.
    sent: [Option<(u32, Moment)>; SENT_KEPT],
    next: usize,
    voip: Option<VoipMetrics>,
}

impl RemoteReports {
    /// Our own report left with that NTP time.
    pub fn sent(&mut self, ntp: u64, now: Moment) {
        if let Some(place) = self.sent.get_mut(self.next) {
            *place = Some(((ntp >> 16) as u32, now));
        }
        self.next = (self.next + 1) % SENT_KEPT;
    }

    /// Takes a report of the phone on a stream of `clock_rate`; one without a block says that nothing of ours came.
    pub fn take(&mut self, blocks: ReportBlocks<'_>, clock_rate: u32, now: Moment) {
        self.reports += 1;
        // We are all that the phone hears.
        let mut blocks = blocks;
        let Some(block) = blocks.next() else { return };
        self.lost.take(u64::from(block.fraction_lost));
        self.jitter.take(u64::from(block.jitter) * 1_000_000 / u64::from(clock_rate.max(1)));
        if let Some(round_trip) = self.round_trip_of(&block, now) {
            self.round_trip.take(u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX));
            self.last_round_trip = Some(round_trip);
        }
    }

    /// Takes the phone's own view of what it plays.
    pub fn take_voip(&mut self, metrics: VoipMetrics) {
        self.voip = Some(metrics);
    }

    /// Reports that came.
    pub const fn count(&self) -> u64 {
        self.reports
    }

    /// Whether the phone reports, and all that it says is that nothing of ours has come.
    pub const fn hears_nothing(&self) -> bool {
        self.reports >= DEAF_REPORTS && self.lost.count() == 0
    }

    /// The share of our packets that was lost, 0 to 1; `None` before the phone said.
    pub fn loss(&self) -> Option<f64> {
        self.lost.mean().map(|lost| lost / 256.0)
    }

    /// Jitter at the phone, in microseconds.
    pub const fn jitter_us(&self) -> Spread {
        self.jitter
    }

    /// Round trips in microseconds.
    pub const fn round_trips_us(&self) -> Spread {
        self.round_trip
    }

    /// The last of them.
    pub const fn last_round_trip(&self) -> Option<Duration> {
        self.last_round_trip
    }

    /// The phone's own view of what it plays, if it tells.
    pub const fn voip(&self) -> Option<VoipMetrics> {
        self.voip
    }

    /// From our report to its echo, less the time that the phone kept it (§6.4.1); only reports that were ours count.
    fn round_trip_of(&self, block: &ReportBlock, now: Moment) -> Option<Duration> {
        let sent = self.sent.iter().flatten().find(|(ntp, _)| *ntp == block.last_report)?.1;
        let kept = Duration::from_nanos(u64::from(block.delay_since_last_report) * 1_000_000_000 / 65_536);
        (now - sent).checked_sub(kept).filter(|trip| *trip < ROUND_TRIP_LONGEST)
    }
}

/// Our reports that a phone may still answer.
const SENT_KEPT: usize = 4;
/// Reports after which a phone that names no stream of ours has had time to hear one.
const DEAF_REPORTS: u64 = 2;
/// What takes longer is a phone whose clock does not tell the truth.
const ROUND_TRIP_LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::rtcp::{self, RtcpPacket};

    fn take(reports: &mut RemoteReports, block: Option<ReportBlock>, now: Moment) {
        let mut bytes = Vec::new();
        rtcp::write_report(9, None, block, "phone", &mut bytes);
        match rtcp::packets(&bytes).next() {
            Some(Ok(RtcpPacket::ReceiverReport { blocks, .. })) => reports.take(blocks, 8_000, now),
            other => panic!("{other:?}"),
        }
    }

    fn block(last_report: u32, delay_ms: u32) -> ReportBlock {
        ReportBlock {
            ssrc: 7,
            fraction_lost: 64,
            lost: 10,
            highest_sequence: 100,
            jitter: 80,
            last_report,
            delay_since_last_report: delay_ms * 65_536 / 1_000,
        }
    }

    #[test]
    fn the_round_trip_is_what_passed_less_what_the_phone_kept() {
        let mut reports = RemoteReports::default();
        reports.sent(0x1111_2222_3333_4444, Moment::from_millis(5_000));
        take(&mut reports, Some(block(0x2222_3333, 1_000)), Moment::from_millis(6_080));
        let trip = reports.last_round_trip().unwrap();
        assert!((79..=81).contains(&trip.as_millis()), "{trip:?}");
        assert_eq!((reports.loss(), reports.jitter_us().max()), (Some(0.25), Some(10_000)));
    }

    #[test]
    fn echoes_of_reports_that_were_never_sent_and_impossible_times_are_no_round_trip() {
        let mut reports = RemoteReports::default();
        take(&mut reports, Some(block(0, 0)), Moment::from_millis(100));
        reports.sent(0x1111_2222_3333_4444, Moment::from_millis(5_000));
        take(&mut reports, Some(block(0x2222_3334, 0)), Moment::from_millis(5_100));
        take(&mut reports, Some(block(0x2222_3333, 60_000)), Moment::from_millis(5_100));
        take(&mut reports, Some(block(0x2222_3333, 0)), Moment::from_millis(65_000));
        assert_eq!((reports.round_trips_us().count(), reports.count()), (0, 4));
    }

    #[test]
    fn a_phone_that_reports_and_names_no_stream_hears_nothing() {
        let mut reports = RemoteReports::default();
        take(&mut reports, None, Moment::START);
        assert!(!reports.hears_nothing());
        take(&mut reports, None, Moment::START);
        assert!(reports.hears_nothing());
        take(&mut reports, Some(block(0, 0)), Moment::START);
        assert!(!reports.hears_nothing());
    }
}
