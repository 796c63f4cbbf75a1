//! RTCP: compound packets read without trust and written into a reused buffer (RFC 3550 §6).
//!
//! Only what a telephone call needs: sender and receiver reports, the canonical name, goodbye.

/// One packet of a compound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RtcpPacket<'a> {
    /// SR: what a source sent and heard.
    SenderReport {
        /// Its source.
        ssrc: u32,
        /// What it sent.
        info: SenderInfo,
        /// What it heard.
        blocks: ReportBlocks<'a>,
    },
    /// RR: what a source heard that sends nothing.
    ReceiverReport {
        /// Its source.
        ssrc: u32,
        /// What it heard.
        blocks: ReportBlocks<'a>,
    },
    /// SDES, body unread: who a source is changes nothing in a call.
    SourceDescription(&'a [u8]),
    /// XR: of its blocks the VoIP metrics (RFC 3611 §4.7), if there are any.
    ExtendedReport(Option<VoipMetrics>),
    /// BYE: sources that end.
    Goodbye(Sources<'a>),
    /// Any other packet type.
    Other(u8),
}

/// What a source says of its own stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    /// NTP time, 32.32 bits since 1900.
    pub ntp: u64,
    /// The same moment in the stream's clock.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// What a receiver says of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source it is about.
    pub ssrc: u32,
    /// Loss since the last report in 256ths.
    pub fraction_lost: u8,
    /// Loss in all, 24 bits with sign.
    pub lost: i32,
    /// Highest sequence number with its cycles.
    pub highest_sequence: u32,
    /// Interarrival jitter in ticks.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; zero if none came.
    pub last_report: u32,
    /// Time since it came, in 65,536ths of a second.
    pub delay_since_last_report: u32,
}

/// What a phone says of the sound that it plays; what it does not know is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VoipMetrics {
    /// Packets that came and were thrown away, too late or too early, in 256ths.
    pub discard_rate: u8,
    /// Delay of its jitter buffer in milliseconds.
    pub jitter_buffer_ms: u16,
    /// Its own mean opinion score of listening, in tenths.
    pub listening_score: Option<u8>,
}

/// Why bytes are no RTCP. What stood before the fault was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtcpError {
    /// Shorter than a header or than what it announces.
    #[error("RTCP ends within a packet")]
    TooShort,
    /// Not version 2.
    #[error("RTCP version {0} is not 2")]
    Version(u8),
}

/// The report blocks of one packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlocks<'a>(&'a [u8]);

/// The sources of a goodbye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sources<'a>(&'a [u8]);

/// Reads the packets of a compound one after the other; ends at the first fault.
pub fn packets(bytes: &[u8]) -> impl Iterator<Item = Result<RtcpPacket<'_>, RtcpError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let taken = take_packet(rest);
        rest = taken.as_ref().map_or(&[], |taken| taken.1);
        Some(taken.map(|taken| taken.0))
    })
}

/// Overwrites `out` with a report (a sender's if there is `sent`), and the canonical name that each compound must
/// carry (§6.1).
pub fn write_report(
    ssrc: u32,
    sent: Option<SenderInfo>,
    heard: Option<ReportBlock>,
    cname: &str,
    out: &mut Vec<u8>,
) {
    out.clear();
    let count = u8::from(heard.is_some());
    let words = 1 + if sent.is_some() { 5 } else { 0 } + 6 * u16::from(count);
    header(count, if sent.is_some() { SENDER_REPORT } else { RECEIVER_REPORT }, words, out);
    out.extend_from_slice(&ssrc.to_be_bytes());
    if let Some(info) = sent {
        out.extend_from_slice(&info.ntp.to_be_bytes());
        for field in [info.rtp_timestamp, info.packets, info.octets] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
    if let Some(block) = heard {
        block.write(out);
    }
    source_description(ssrc, cname, out);
}

/// Overwrites `out` with an empty report, the name and a goodbye: the end of our stream (§6.6).
pub fn write_goodbye(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
    write_report(ssrc, None, None, cname, out);
    header(1, GOODBYE, 1, out);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

/// NTP time of a moment given in milliseconds since 1970.
pub const fn ntp_of_unix_ms(unix_ms: u64) -> u64 {
    let seconds = (unix_ms / 1_000).wrapping_add(2_208_988_800);
    (seconds << 32) | (((unix_ms % 1_000) << 32) / 1_000)
}

impl Iterator for ReportBlocks<'_> {
    type Item = ReportBlock;

    fn next(&mut self) -> Option<ReportBlock> {
        let (first, rest) = self.0.split_first_chunk::<24>()?;
        self.0 = rest;
        Some(ReportBlock::read(first))
    }
}

impl Iterator for Sources<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }
}

impl ReportBlock {
    fn read(bytes: &[u8; 24]) -> Self {
        let [a, b, c, d, e, f] = words(bytes);
        Self {
            ssrc: a,
            fraction_lost: (b >> 24) as u8,
            // The low 24 bits with their sign.
            lost: ((b << 8) as i32) >> 8,
            highest_sequence: c,
            jitter: d,
            last_report: e,
            delay_since_last_report: f,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let loss = u32::from(self.fraction_lost) << 24 | (self.lost as u32 & 0x00FF_FFFF);
        let rest = [self.highest_sequence, self.jitter, self.last_report, self.delay_since_last_report];
        for field in [self.ssrc, loss].into_iter().chain(rest) {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }
}

fn take_packet(bytes: &[u8]) -> Result<(RtcpPacket<'_>, &[u8]), RtcpError> {
    let ([first, kind, l0, l1], rest) = bytes.split_first_chunk::<4>().ok_or(RtcpError::TooShort)?;
    if first >> 6 != 2 {
        return Err(RtcpError::Version(first >> 6));
    }
    let length = usize::from(u16::from_be_bytes([*l0, *l1])) * 4;
    let (body, rest) = rest.split_at_checked(length).ok_or(RtcpError::TooShort)?;
    let count = usize::from(first & 0x1F);
    let packet = match *kind {
        SENDER_REPORT => {
            let (ssrc, body) = take_word(body)?;
            let (info, body) = body.split_first_chunk::<20>().ok_or(RtcpError::TooShort)?;
            let [high, low, rtp_timestamp, packets, octets] = words(info);
            let info =
                SenderInfo { ntp: u64::from(high) << 32 | u64::from(low), rtp_timestamp, packets, octets };
            RtcpPacket::SenderReport { ssrc, info, blocks: blocks(body, count)? }
        }
        RECEIVER_REPORT => {
            let (ssrc, body) = take_word(body)?;
            RtcpPacket::ReceiverReport { ssrc, blocks: blocks(body, count)? }
        }
        SOURCE_DESCRIPTION => RtcpPacket::SourceDescription(body),
        EXTENDED_REPORT => RtcpPacket::ExtendedReport(voip_metrics(body)),
        GOODBYE => RtcpPacket::Goodbye(Sources(body.get(..count * 4).ok_or(RtcpError::TooShort)?)),
        other => RtcpPacket::Other(other),
    };
    Ok((packet, rest))
}

/// The VoIP metrics among the blocks of an extended report.
fn voip_metrics(body: &[u8]) -> Option<VoipMetrics> {
    let mut rest = body.get(4..)?;
    loop {
        let ([kind, _, l0, l1], after) = rest.split_first_chunk::<4>()?;
        let (block, after) = after.split_at_checked(usize::from(u16::from_be_bytes([*l0, *l1])) * 4)?;
        rest = after;
        if *kind == VOIP_METRICS {
            let [_, rates, _, _, _, quality, buffer, _] = words(block.first_chunk::<32>()?);
            // RFC 3611 §4.7.5: 127 is "not known".
            let score = (quality >> 8) as u8;
            return Some(VoipMetrics {
                discard_rate: (rates >> 16) as u8,
                jitter_buffer_ms: buffer as u16,
                listening_score: Some(score).filter(|score| (10..=50).contains(score)),
            });
        }
    }
}

fn blocks(body: &[u8], count: usize) -> Result<ReportBlocks<'_>, RtcpError> {
    body.get(..count * 24).map(ReportBlocks).ok_or(RtcpError::TooShort)
}

fn take_word(body: &[u8]) -> Result<(u32, &[u8]), RtcpError> {
    let (word, rest) = body.split_first_chunk::<4>().ok_or(RtcpError::TooShort)?;
    Ok((u32::from_be_bytes(*word), rest))
}

fn words<const N: usize>(bytes: &[u8]) -> [u32; N] {
    let mut words = [0; N];
    for (word, four) in words.iter_mut().zip(bytes.chunks_exact(4)) {
        *word = four.try_into().map_or(0, u32::from_be_bytes);
    }
    words
}

fn header(count: u8, kind: u8, words: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x80 | (count & 0x1F), kind]);
    out.extend_from_slice(&words.to_be_bytes());
}

/// One source with its CNAME, ended by at least one zero and filled up to whole words (§6.5).
fn source_description(ssrc: u32, cname: &str, out: &mut Vec<u8>) {
    let name = cname.as_bytes().get(..cname.len().min(255)).unwrap_or_default();
    let item = 2 + name.len();
    let filled = (item + 1).next_multiple_of(4);
    header(1, SOURCE_DESCRIPTION, 1 + (filled / 4) as u16, out);
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(&[1, name.len() as u8]);
    out.extend_from_slice(name);
    out.resize(out.len() + filled - item, 0);
}

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;
const EXTENDED_REPORT: u8 = 207;
/// The block of an extended report that holds the VoIP metrics.
const VOIP_METRICS: u8 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block() -> impl Strategy<Value = ReportBlock> {
        (any::<u32>(), any::<u8>(), -0x80_0000..0x80_0000, any::<[u32; 4]>()).prop_map(
            |(ssrc, fraction, lost, rest)| ReportBlock {
                ssrc,
                fraction_lost: fraction,
                lost,
                highest_sequence: rest[0],
                jitter: rest[1],
                last_report: rest[2],
                delay_since_last_report: rest[3],
            },
        )
    }

    #[test]
    fn a_goodbye_is_a_compound_of_report_name_and_goodbye() {
        let mut out = Vec::new();
        write_goodbye(0x0102_0304, "pc", &mut out);
        let expected = [
            [0x80, 201, 0, 1].as_slice(),
            &[1, 2, 3, 4],
            &[0x81, 202, 0, 3],
            &[1, 2, 3, 4],
            &[1, 2, b'p', b'c', 0, 0, 0, 0],
            &[0x81, 203, 0, 1],
            &[1, 2, 3, 4],
        ];
        assert_eq!(out, expected.concat());
        let goodbye = packets(&out).last().unwrap().unwrap();
        assert!(matches!(goodbye, RtcpPacket::Goodbye(sources) if sources.eq([0x0102_0304])));
    }

    #[test]
    fn a_compound_that_ends_within_a_packet_tells_what_came_before() {
        let mut out = Vec::new();
        write_goodbye(7, "name", &mut out);
        out.pop();
        let read: Vec<_> = packets(&out).collect();
        assert_eq!(read.len(), 3);
        assert!(read[0].is_ok() && read[1].is_ok());
        assert_eq!(read[2], Err(RtcpError::TooShort));
        assert_eq!(packets(&[0, 200, 0, 0]).next(), Some(Err(RtcpError::Version(0))));
    }

    #[test]
    fn the_voip_metrics_of_an_extended_report_are_found_behind_other_blocks() {
        let mut report = vec![0x80, 207, 0, 12, 0, 0, 0, 9];
        // A receiver reference time (RFC 3611 §4.4), then the metrics.
        report.extend_from_slice(&[4, 0, 0, 1, 0, 0, 0, 0]);
        let mut metrics = [0u8; 36];
        metrics[..8].copy_from_slice(&[7, 0, 0, 8, 0, 0, 0, 7]);
        // Loss and discard rate, MOS-LQ of 4.1, 60 ms of jitter buffer.
        (metrics[8], metrics[9], metrics[26], metrics[31]) = (3, 5, 41, 60);
        report.extend_from_slice(&metrics);
        report[3] = (report.len() / 4 - 1) as u8;
        let read = |bytes: &[u8]| match packets(bytes).next() {
            Some(Ok(RtcpPacket::ExtendedReport(metrics))) => metrics,
            other => panic!("{other:?}"),
        };
        let expected = VoipMetrics { discard_rate: 5, jitter_buffer_ms: 60, listening_score: Some(41) };
        assert_eq!(read(&report), Some(expected));
        report[42] = 127;
        assert_eq!(read(&report).unwrap().listening_score, None);
        assert_eq!(read(&[0x80, 207, 0, 1, 0, 0, 0, 9]), None);
    }

    #[test]
    fn ntp_time_counts_from_1900() {
        assert_eq!(ntp_of_unix_ms(0), 2_208_988_800 << 32);
        assert_eq!(ntp_of_unix_ms(500), (2_208_988_800 << 32) | 0x8000_0000);
    }

    proptest! {
        #[test]
        fn reports_are_read_back_as_written(
            ssrc in any::<u32>(),
            sent in proptest::option::of((any::<u64>(), any::<[u32; 3]>())),
            heard in proptest::option::of(block()),
            cname in "[a-z]{0,300}",
        ) {
            let sent = sent.map(|(ntp, rest)| SenderInfo { ntp, rtp_timestamp: rest[0], packets: rest[1], octets: rest[2] });
            let mut out = Vec::new();
            write_report(ssrc, sent, heard, &cname, &mut out);
            prop_assert_eq!(out.len() % 4, 0);
            let read: Result<Vec<_>, _> = packets(&out).collect();
            let read = read.unwrap();
            prop_assert_eq!(read.len(), 2);
            let (blocks, info) = match read[0] {
                RtcpPacket::SenderReport { ssrc: from, info, blocks } if from == ssrc => (blocks, Some(info)),
                RtcpPacket::ReceiverReport { ssrc: from, blocks } if from == ssrc => (blocks, None),
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(info, sent);
            prop_assert!(blocks.eq(heard));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for packet in packets(&bytes).flatten() {
                if let RtcpPacket::SenderReport { blocks, .. } | RtcpPacket::ReceiverReport { blocks, .. } = packet {
                    prop_assert!(blocks.count() <= 31);
                }
            }
        }
    }
}
