//! One RTP packet: a view of received bytes, and a header written into a reused buffer (RFC 3550 §5.1).

/// A packet whose lengths were checked; the payload is without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpPacket<'a> {
    /// The fixed header.
    pub header: RtpHeader,
    /// Contributing sources, four bytes each.
    pub csrc: &'a [u8],
    /// Profile and body of the header extension.
    pub extension: Option<(u16, &'a [u8])>,
    /// What the payload type says; may be empty.
    pub payload: &'a [u8],
}

/// The fixed header, without the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    /// The first packet of a talkspurt or of an event.
    pub marker: bool,
    /// 0 to 127.
    pub payload_type: u8,
    /// Goes up by one with every packet.
    pub sequence: u16,
    /// Of the first sample, in the payload's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
}

/// Why bytes are no RTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RtpError {
    /// Shorter than a header with what it announces.
    #[error("{0} bytes are too short for the RTP header they begin with")]
    TooShort(usize),
    /// Not version 2: something else arrived on the port (STUN, DTLS, noise).
    #[error("RTP version {0} is not 2")]
    Version(u8),
    /// The padding count is zero or more than the payload.
    #[error("RTP padding of {0} bytes does not fit")]
    Padding(u8),
}

impl<'a> RtpPacket<'a> {
    /// Reads a packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, RtpError> {
        let too_short = RtpError::TooShort(bytes.len());
        let (fixed, rest) = bytes.split_first_chunk::<12>().ok_or(too_short)?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if first >> 6 != 2 {
            return Err(RtpError::Version(first >> 6));
        }
        let (csrc, rest) = rest.split_at_checked(usize::from(first & 0x0F) * 4).ok_or(too_short)?;
        let (extension, rest) = if first & 0x10 == 0 {
            (None, rest)
        } else {
            let ([p0, p1, l0, l1], rest) = rest.split_first_chunk::<4>().ok_or(too_short)?;
            let length = usize::from(u16::from_be_bytes([*l0, *l1])) * 4;
            let (body, rest) = rest.split_at_checked(length).ok_or(too_short)?;
            (Some((u16::from_be_bytes([*p0, *p1]), body)), rest)
        };
        let payload = if first & 0x20 == 0 {
            rest
        } else {
            let count = *rest.last().ok_or(RtpError::Padding(0))?;
            let kept = rest.len().checked_sub(usize::from(count)).filter(|_| count > 0);
            kept.and_then(|kept| rest.get(..kept)).ok_or(RtpError::Padding(count))?
        };
        let header = RtpHeader {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7F,
            sequence: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
        };
        Ok(Self { header, csrc, extension, payload })
    }
}

impl RtpHeader {
    /// Overwrites `out` with this header and `payload`.
    pub fn write(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.reserve(12 + payload.len());
        out.extend_from_slice(&[0x80, u8::from(self.marker) << 7 | (self.payload_type & 0x7F)]);
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(payload);
    }
}

/// Whether a datagram on a port shared by RTP and RTCP is RTCP (RFC 5761 §4: payload types 64 to 95).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    matches!(bytes, [first, second, ..] if first >> 6 == 2 && (64..=95).contains(&(second & 0x7F)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: [u8; 14] = [0x80, 0x80, 0x12, 0x34, 0, 0, 0, 160, 0xDE, 0xAD, 0xBE, 0xEF, 0x55, 0xAA];

    #[test]
    fn a_plain_packet_is_read() {
        let packet = RtpPacket::parse(&PLAIN).unwrap();
        let header =
            RtpHeader { marker: true, payload_type: 0, sequence: 0x1234, timestamp: 160, ssrc: 0xDEAD_BEEF };
        assert_eq!(packet, RtpPacket { header, csrc: &[], extension: None, payload: &[0x55, 0xAA] });
    }

    #[test]
    fn sources_extension_and_padding_are_taken_off() {
        let mut bytes = vec![0xB1, 8];
        bytes.extend_from_slice(&PLAIN[2..12]);
        bytes.extend_from_slice(&[1, 2, 3, 4]);
        bytes.extend_from_slice(&[0xBE, 0xDE, 0, 1, 9, 9, 9, 9]);
        bytes.extend_from_slice(&[7, 7, 0, 0, 3]);
        let packet = RtpPacket::parse(&bytes).unwrap();
        assert_eq!(packet.csrc, [1, 2, 3, 4]);
        assert_eq!(packet.extension, Some((0xBEDE, &[9u8, 9, 9, 9][..])));
        assert_eq!(packet.payload, [7, 7]);
        assert_eq!(packet.header.payload_type, 8);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        assert_eq!(RtpPacket::parse(&PLAIN[..11]), Err(RtpError::TooShort(11)));
        assert_eq!(RtpPacket::parse(&[0; 20]), Err(RtpError::Version(0)));
        for (first, error) in
            [(0x81, RtpError::TooShort(14)), (0x90, RtpError::TooShort(14)), (0xA0, RtpError::Padding(0xAA))]
        {
            let mut bytes = PLAIN;
            bytes[0] = first;
            assert_eq!(RtpPacket::parse(&bytes), Err(error));
        }
        let mut bytes = PLAIN;
        (bytes[0], bytes[13]) = (0xA0, 0);
        assert_eq!(RtpPacket::parse(&bytes), Err(RtpError::Padding(0)));
        let mut extension = PLAIN.to_vec();
        extension[0] = 0x90;
        extension.extend_from_slice(&[0xFF, 0xFF]);
        assert_eq!(RtpPacket::parse(&extension), Err(RtpError::TooShort(16)));
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_its_type() {
        assert!(is_rtcp(&[0x80, 200]) && is_rtcp(&[0x81, 203, 0, 0]));
        assert!(!is_rtcp(&[0x80, 0]) && !is_rtcp(&[0x80, 0x80 | 8]) && !is_rtcp(&[0x80, 101]));
        assert!(!is_rtcp(&[0x80]) && !is_rtcp(&[0, 200]) && !is_rtcp(&[]));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(
            marker in any::<bool>(), payload_type in 0u8..128, sequence in any::<u16>(),
            timestamp in any::<u32>(), ssrc in any::<u32>(), payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let header = RtpHeader { marker, payload_type, sequence, timestamp, ssrc };
            let mut bytes = vec![1, 2, 3];
            header.write(&payload, &mut bytes);
            let packet = RtpPacket::parse(&bytes).unwrap();
            prop_assert_eq!((packet.header, packet.payload), (header, &payload[..]));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(packet) = RtpPacket::parse(&bytes) {
                prop_assert!(packet.payload.len() + 12 <= bytes.len());
            }
            is_rtcp(&bytes);
        }
    }
}
