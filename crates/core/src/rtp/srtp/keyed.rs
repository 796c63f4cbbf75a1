//! Packets of one direction put together and taken apart under its keys (RFC 3711 §3.1, §3.4; RFC 7714 §8, §9).

use super::suite::{MasterKey, Mki};
use super::transform::{Kind, Place, Transform};

/// Session keys of one direction.
pub(super) struct Keyed {
    rtp: Transform,
    rtcp: Transform,
    mki: Option<Mki>,
}

/// What of an RTP header protection is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) ssrc: u32,
    pub(super) sequence: u16,
    /// Bytes before the payload.
    length: usize,
}

impl Keyed {
    pub(super) fn new(master: &MasterKey, mki: Option<Mki>) -> Self {
        Self { rtp: Transform::derive(master, Kind::Rtp), rtcp: Transform::derive(master, Kind::Rtcp), mki }
    }

    /// Protects an RTP packet in place.
    pub(super) fn seal_rtp(&self, header: Header, index: u64, packet: &mut Vec<u8>) {
        let place = Place { ssrc: header.ssrc, index };
        let Some((clear, body)) = packet.split_at_mut_checked(header.length) else { return };
        if let Some(tag) = self.rtp.seal(place, Kind::Rtp, clear, body) {
            return packet.extend_from_slice(&tag);
        }
        self.rtp.apply_counter(place, body);
        self.rtp.append_tag(packet, &rollover(index));
    }

    /// Protects an RTCP packet in place.
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut Vec<u8>) {
        let place = Place { ssrc, index: index.into() };
        let trailer = (index | ENCRYPTED).to_be_bytes();
        let Some((clear, body)) = packet.split_first_chunk_mut::<RTCP_CLEAR_BYTES>() else { return };
        if let Some(tag) = self.rtcp.seal(place, Kind::Rtcp, &associated(clear, trailer), body) {
            packet.extend_from_slice(&tag);
            return packet.extend_from_slice(&trailer);
        }
        self.rtcp.apply_counter(place, body);
        packet.extend_from_slice(&trailer);
        self.rtcp.append_tag(packet, &[]);
    }

    /// Overwrites `plain` with the packet in `datagram` if it is authentic at that index.
    pub(super) fn open_rtp(&self, header: Header, index: u64, datagram: &[u8], plain: &mut Vec<u8>) -> bool {
        let place = Place { ssrc: header.ssrc, index };
        let Some((packet, tag)) = self.split(&self.rtp, datagram) else { return false };
        let Some((clear, _)) = packet.split_at_checked(header.length) else { return false };
        let is_aead = self.rtp.is_aead();
        if !is_aead && !self.rtp.is_tag_of([packet, &rollover(index)], tag) {
            return false;
        }
        copy(packet, plain);
        let body = plain.get_mut(header.length..).unwrap_or_default();
        if is_aead {
            return self.rtp.open(place, Kind::Rtp, clear, body, tag);
        }
        self.rtp.apply_counter(place, body);
        true
    }

    /// Overwrites `plain` with the RTCP packet in `datagram`; gives its index if it is authentic.
    pub(super) fn open_rtcp(&self, ssrc: u32, datagram: &[u8], plain: &mut Vec<u8>) -> Option<u32> {
        let is_aead = self.rtcp.is_aead();
        let (packet, trailer, tag) = if is_aead {
            // RFC 7714 §9.2: the index stands behind the tag.
            let (packet, trailer) = self.without_mki(datagram)?.split_last_chunk::<4>()?;
            let (packet, tag) = packet.split_at_checked(packet.len().checked_sub(self.rtcp.tag_bytes())?)?;
            (packet, trailer, tag)
        } else {
            let (signed, tag) = self.split(&self.rtcp, datagram)?;
            if !self.rtcp.is_tag_of([signed, &[]], tag) {
                return None;
            }
            let (packet, trailer) = signed.split_last_chunk::<4>()?;
            (packet, trailer, tag)
        };
        let word = u32::from_be_bytes(*trailer);
        // Reports in the clear were never agreed on.
        let index = (word & ENCRYPTED != 0).then_some(word & !ENCRYPTED)?;
        let place = Place { ssrc, index: index.into() };
        let clear = packet.first_chunk::<RTCP_CLEAR_BYTES>()?;
        copy(packet, plain);
        let body = plain.get_mut(RTCP_CLEAR_BYTES..).unwrap_or_default();
        if is_aead {
            let data = associated(clear, *trailer);
            return self.rtcp.open(place, Kind::Rtcp, &data, body, tag).then_some(index);
        }
        self.rtcp.apply_counter(place, body);
        Some(index)
    }

    /// The packet and its tag, without the MKI: before the tag of HMAC, behind that of GCM (RFC 7714 §8.2).
    fn split<'a>(&self, transform: &Transform, datagram: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let tag_bytes = transform.tag_bytes();
        if transform.is_aead() {
            let sealed = self.without_mki(datagram)?;
            return sealed.split_at_checked(sealed.len().checked_sub(tag_bytes)?);
        }
        let (signed, tag) = datagram.split_at_checked(datagram.len().checked_sub(tag_bytes)?)?;
        Some((self.without_mki(signed)?, tag))
    }

    /// The bytes without the MKI at their end; `None` where it is not there.
    fn without_mki<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let Some(Mki { value, length }) = self.mki else { return Some(bytes) };
        let value = value.to_be_bytes();
        let expected = value.get(value.len().checked_sub(length.into())?..)?;
        bytes.strip_suffix(expected)
    }
}

impl Header {
    /// The header of an RTP packet whose payload, and padding, may be encrypted.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let [first, _, s0, s1, _, _, _, _, c0, c1, c2, c3] = *bytes.first_chunk::<12>()?;
        if first >> 6 != 2 {
            return None;
        }
        let mut length = 12 + usize::from(first & 0x0F) * 4;
        if first & 0x10 != 0 {
            let [_, _, l0, l1] = *bytes.get(length..)?.first_chunk::<4>()?;
            length += 4 + usize::from(u16::from_be_bytes([l0, l1])) * 4;
        }
        let (ssrc, sequence) = (u32::from_be_bytes([c0, c1, c2, c3]), u16::from_be_bytes([s0, s1]));
        (length <= bytes.len()).then_some(Self { ssrc, sequence, length })
    }
}

/// Who sent an RTCP packet.
pub(super) fn rtcp_source(bytes: &[u8]) -> Option<u32> {
    let [first, _, _, _, c0, c1, c2, c3] = *bytes.first_chunk::<RTCP_CLEAR_BYTES>()?;
    (first >> 6 == 2).then(|| u32::from_be_bytes([c0, c1, c2, c3]))
}

/// What stands behind the packet when HMAC is computed over it (RFC 3711 §4.2).
fn rollover(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// RFC 7714 §9.2: the clear header, then the word with the index.
fn associated(clear: &[u8; RTCP_CLEAR_BYTES], trailer: [u8; 4]) -> [u8; RTCP_CLEAR_BYTES + 4] {
    let mut data = [0; RTCP_CLEAR_BYTES + 4];
    data.iter_mut().zip(clear.iter().chain(&trailer)).for_each(|(to, from)| *to = *from);
    data
}

fn copy(from: &[u8], to: &mut Vec<u8>) {
    to.clear();
    to.extend_from_slice(from);
}

/// Header and SSRC of an RTCP packet stay readable.
const RTCP_CLEAR_BYTES: usize = 8;

/// The flag above the index of RTCP.
const ENCRYPTED: u32 = 1 << 31;
