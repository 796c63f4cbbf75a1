//! Ogg pages (RFC 3533) of one Opus stream (RFC 7845): enough to write a file, to find its end, and to close it.

/// One page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    pub(super) serial: u32,
    pub(super) sequence: u32,
    /// Samples at 48 kHz until the end of its last packet.
    pub(super) granule: u64,
    pub(super) flags: u8,
    /// Whole packets, each of fewer than 64 KiB.
    pub(super) packets: &'a [Vec<u8>],
}

/// The first page of a stream.
pub(super) const FIRST: u8 = 2;
/// The last page of a stream.
pub(super) const LAST: u8 = 4;

impl Page<'_> {
    /// Writes the page.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut lacing = Vec::new();
        for packet in self.packets {
            lacing.extend(std::iter::repeat_n(255, packet.len() / 255));
            lacing.push((packet.len() % 255) as u8);
        }
        let mut page = Vec::with_capacity(
            HEADER_BYTES + lacing.len() + self.packets.iter().map(Vec::len).sum::<usize>(),
        );
        page.extend_from_slice(b"OggS\0");
        page.push(self.flags);
        page.extend_from_slice(&self.granule.to_le_bytes());
        page.extend_from_slice(&self.serial.to_le_bytes());
        page.extend_from_slice(&self.sequence.to_le_bytes());
        page.extend_from_slice(&[0; 4]);
        page.push(u8::try_from(lacing.len()).unwrap_or(u8::MAX));
        page.extend_from_slice(&lacing);
        self.packets.iter().for_each(|packet| page.extend_from_slice(packet));
        seal(&mut page);
        page
    }
}

/// Whole pages at the beginning of `bytes`: where the last one begins, where it ends, and its granule.
pub(super) fn last_whole_page(bytes: &[u8]) -> Option<(usize, usize, u64)> {
    let (mut at, mut last) = (0, None);
    while let Some(length) = page_length(bytes.get(at..).unwrap_or_default()) {
        let page = bytes.get(at..at + length)?;
        let granule = page.get(6..14).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes);
        last = Some((at, at + length, granule));
        at += length;
    }
    last
}

/// Marks a whole page as the last of its stream.
pub(super) fn close(page: &mut [u8]) {
    if let Some(flags) = page.get_mut(5) {
        *flags |= LAST;
    }
    seal(page);
}

/// The length of the whole and undamaged page that `bytes` begin with.
fn page_length(bytes: &[u8]) -> Option<usize> {
    let segments = usize::from(*bytes.get(26)?);
    let lacing = bytes.get(HEADER_BYTES..HEADER_BYTES + segments)?;
    let length = HEADER_BYTES + segments + lacing.iter().map(|segment| usize::from(*segment)).sum::<usize>();
    let page = bytes.get(..length)?;
    let told = page.get(22..26)?;
    let mut copy = page.to_vec();
    seal(&mut copy);
    (page.starts_with(b"OggS\0") && copy.get(22..26)? == told).then_some(length)
}

/// Puts the checksum into a page.
fn seal(page: &mut [u8]) {
    if let Some(field) = page.get_mut(22..26) {
        field.fill(0);
    }
    let sum = checksum(page).to_le_bytes();
    if let Some(field) = page.get_mut(22..26) {
        field.copy_from_slice(&sum);
    }
}

/// RFC 3533 §6: a CRC of 32 bits by 0x04c11db7, not reflected, beginning with nothing.
fn checksum(page: &[u8]) -> u32 {
    page.iter().fold(0, |sum, byte| {
        let at = (sum >> 24) as u8 ^ byte;
        (sum << 8) ^ TABLE.get(usize::from(at)).copied().unwrap_or(0)
    })
}

static TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut value = (at as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 0x8000_0000 == 0 { value << 1 } else { (value << 1) ^ 0x04c1_1db7 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

/// Bytes of a page before its lacing.
const HEADER_BYTES: usize = 27;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_again_up_to_the_first_that_is_cut_or_damaged() {
        let page = |sequence: u32| {
            let packets = [vec![7; 300], vec![1; 255], Vec::new()];
            Page { serial: 9, sequence, granule: u64::from(sequence) * 960, flags: 0, packets: &packets }
                .write()
        };
        let whole: Vec<u8> = (0..3).flat_map(page).collect();
        let length = page(0).len();
        assert_eq!(last_whole_page(&whole), Some((2 * length, 3 * length, 1_920)));
        assert_eq!(last_whole_page(&whole[..whole.len() - 1]), Some((length, 2 * length, 960)));
        let mut damaged = whole.clone();
        damaged[length + 40] ^= 1;
        assert_eq!(last_whole_page(&damaged), Some((0, length, 0)));
        let mut last = page(5);
        close(&mut last);
        assert_eq!(last_whole_page(&last), Some((0, last.len(), 4_800)));
    }

    #[test]
    fn the_checksum_is_that_of_a_page_of_libogg() {
        // The first page of a stream that opusenc wrote: OpusHead, mono, 312 samples of pre-skip, 8 kHz.
        let head = b"OpusHead\x01\x01\x38\x01\x40\x1f\x00\x00\x00\x00\x00".to_vec();
        let page = Page { serial: 1, sequence: 0, granule: 0, flags: FIRST, packets: &[head] }.write();
        assert_eq!(checksum(b"123456789"), 0x89a1_897f);
        assert_eq!(page.len(), 27 + 1 + 19);
    }
}
