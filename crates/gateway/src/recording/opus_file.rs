//! Opus in Ogg (RFC 7845): each channel is a stream of its own (channel mapping family 1 without coupling), so that
//! nothing of one side is ever heard on the other.

use patchcord_core::media::OpusEncoder;

use super::ogg::{FIRST, LAST, Page};

/// One recording's way into Ogg.
pub(super) struct OpusTape {
    encoders: Vec<OpusEncoder>,
    channels: usize,
    sample_rate: u32,
    /// Samples that wait to fill a packet, interleaved.
    waiting: Vec<i16>,
    /// Packets that wait to fill a page.
    packets: Vec<Vec<u8>>,
    serial: u32,
    sequence: u32,
    /// Packets that stand in pages or wait for one.
    packed: u64,
}

impl OpusTape {
    /// A stream and its first pages; `None` for a rate that Opus does not know.
    pub(super) fn begin(sample_rate: u32, channels: usize, serial: u32) -> Option<(Self, Vec<u8>)> {
        let encoders = (0..channels).map(|_| OpusEncoder::new(sample_rate)).collect::<Option<Vec<_>>>()?;
        let (waiting, packets) = (Vec::new(), Vec::new());
        let mut tape =
            Self { encoders, channels, sample_rate, waiting, packets, serial, sequence: 0, packed: 0 };
        let mut pages = tape.page(FIRST, 0, &[head(sample_rate, channels)]);
        pages.extend(tape.page(0, 0, &[tags()]));
        Some((tape, pages))
    }

    /// Takes interleaved samples.
    pub(super) fn push(&mut self, samples: &[i16]) {
        self.waiting.extend_from_slice(samples);
        let packet = self.frame() * self.channels;
        let whole = self.waiting.len() / packet * packet;
        for at in (0..whole).step_by(packet) {
            self.encode(at..at + packet);
        }
        self.waiting.drain(..whole);
    }

    /// The pages of the packets that wait.
    pub(super) fn flush(&mut self) -> Vec<u8> {
        self.pages(None)
    }

    /// The last pages of a recording of `frames` samples a channel.
    pub(super) fn finish(&mut self, frames: u64) -> Vec<u8> {
        let granule = PRE_SKIP + frames * 48_000 / u64::from(self.sample_rate);
        let packet = self.frame() * self.channels;
        // What the coder holds back comes out with what follows.
        while self.packed * FRAME_48K < granule {
            self.waiting.resize(packet, 0);
            self.encode(0..packet);
            self.waiting.clear();
        }
        self.pages(Some(granule))
    }

    /// The packets that wait, in as many pages as they need; `end` is the granule of the last page of all.
    fn pages(&mut self, end: Option<u64>) -> Vec<u8> {
        let packets = std::mem::take(&mut self.packets);
        let mut rest = packets.as_slice();
        let mut pages = Vec::new();
        while !rest.is_empty() || end.is_some() && pages.is_empty() {
            let mut segments = 0;
            let fits = |packet: &&Vec<u8>| {
                segments += packet.len() / 255 + 1;
                segments <= SEGMENTS_MAX
            };
            let (page, behind) = rest.split_at(rest.iter().take_while(fits).count().max(1).min(rest.len()));
            rest = behind;
            let (flags, granule) = match end {
                Some(granule) if rest.is_empty() => (LAST, granule),
                _ => (0, (self.packed - rest.len() as u64) * FRAME_48K),
            };
            pages.extend(self.page(flags, granule, page));
        }
        pages
    }

    fn encode(&mut self, span: std::ops::Range<usize>) {
        let samples = self.waiting.get(span).unwrap_or_default();
        let (mut packet, mut coded) = (Vec::new(), Vec::new());
        let last = self.channels.saturating_sub(1);
        for (channel, encoder) in self.encoders.iter_mut().enumerate() {
            let own: Vec<i16> = samples.iter().skip(channel).step_by(self.channels).copied().collect();
            encoder.encode(&own, &mut coded);
            if channel < last {
                delimit(&coded, &mut packet);
            } else {
                packet.extend_from_slice(&coded);
            }
        }
        self.packets.push(packet);
        self.packed += 1;
    }

    fn page(&mut self, flags: u8, granule: u64, packets: &[Vec<u8>]) -> Vec<u8> {
        let page = Page { serial: self.serial, sequence: self.sequence, granule, flags, packets }.write();
        self.sequence += 1;
        page
    }

    /// Samples of one channel in a packet of 20 ms.
    fn frame(&self) -> usize {
        (self.sample_rate / 50) as usize
    }
}

/// Has a packet of one frame say its own length (RFC 6716, appendix B).
fn delimit(packet: &[u8], out: &mut Vec<u8>) {
    let (toc, frame) = match packet.split_first() {
        Some((toc, frame)) if toc & 3 == 0 => (*toc, frame),
        // Not one frame: nothing of it, which is lost to a decoder.
        _ => (packet.first().copied().unwrap_or(0) & !3, &[][..]),
    };
    out.push(toc);
    if frame.len() < 252 {
        out.push(frame.len() as u8);
    } else {
        let first = 252 + (frame.len() & 3);
        out.extend_from_slice(&[first as u8, ((frame.len() - first) / 4) as u8]);
    }
    out.extend_from_slice(frame);
}

/// RFC 7845 §5.1.
fn head(sample_rate: u32, channels: usize) -> Vec<u8> {
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels as u8);
    head.extend_from_slice(&(PRE_SKIP as u16).to_le_bytes());
    head.extend_from_slice(&sample_rate.to_le_bytes());
    head.extend_from_slice(&[0, 0]);
    if channels == 1 {
        head.push(0);
    } else {
        // Family 1: as many streams as channels, none coupled, each channel its own.
        head.extend_from_slice(&[1, channels as u8, 0]);
        head.extend(0..channels as u8);
    }
    head
}

/// RFC 7845 §5.2.
fn tags() -> Vec<u8> {
    const VENDOR: &str = concat!("Patchcord ", env!("CARGO_PKG_VERSION"));
    let mut tags = b"OpusTags".to_vec();
    tags.extend_from_slice(&(VENDOR.len() as u32).to_le_bytes());
    tags.extend_from_slice(VENDOR.as_bytes());
    tags.extend_from_slice(&0u32.to_le_bytes());
    tags
}

/// What the coder delays, in samples at 48 kHz: 6.5 ms.
pub(super) const PRE_SKIP: u64 = 312;
/// A packet of 20 ms, in samples at 48 kHz.
const FRAME_48K: u64 = 960;
/// Segments of a page (RFC 3533 §6): the length of a packet takes one for every 255 bytes.
const SEGMENTS_MAX: usize = 255;
