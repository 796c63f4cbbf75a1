//! Opus as a line uses it: what is heard after loss, and that nothing a phone sends is more than a loss.

use super::*;
use crate::media::{LineCodec, MediaFormat, SineTone};
use proptest::prelude::*;

const RATES: [u32; 5] = [8_000, 12_000, 16_000, 24_000, 48_000];

fn tone(rate: u32, frames: usize) -> Vec<i16> {
    let mut samples = vec![0; rate as usize / 50 * frames];
    SineTone::new(rate, 300.0, 8_000).fill(&mut samples);
    samples
}

fn packets(rate: u32, samples: &[i16]) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(rate).unwrap();
    let packet = |frame: &[i16]| {
        let mut packet = Vec::new();
        encoder.encode(frame, &mut packet);
        packet
    };
    samples.chunks_exact(rate as usize / 50).map(packet).collect()
}

fn power(samples: &[i16]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / samples.len() as f64
}

#[test]
fn a_packet_lasts_what_it_says_at_every_rate() {
    for rate in RATES {
        let format = MediaFormat::linear16(rate);
        for packet in packets(rate, &tone(rate, 10)) {
            let samples = LineCodec::Opus.samples_in(LineCodec::Opus.ticks_of(&packet), format);
            assert_eq!(samples, u64::from(rate) / 50);
        }
    }
    assert!(OpusEncoder::new(44_100).is_none() && OpusDecoder::new(44_100).is_none());
}

#[test]
fn a_frame_of_a_length_that_opus_does_not_have_gives_no_packet() {
    let mut packet = vec![1];
    OpusEncoder::new(16_000).unwrap().encode(&[0; 480], &mut packet);
    assert!(packet.is_empty());
}

#[test]
fn a_lost_packet_is_found_in_the_one_after_it() {
    // A pitch that glides cannot be guessed: what is there of the lost frame was sent twice.
    let rate = 16_000;
    let frame = rate as usize / 50;
    let glide: Vec<i16> = (0..rate as usize)
        .map(|at| {
            let seconds = at as f64 / f64::from(rate);
            let phase = 2.0 * std::f64::consts::PI * (150.0 * seconds + 150.0 * seconds * seconds);
            ((1..8).map(|harmonic| (phase * f64::from(harmonic)).sin()).sum::<f64>() * 3_000.0) as i16
        })
        .collect();
    let packets = packets(rate, &glide);
    let mut unlike = [0.0, 0.0];
    for lost in (10..40).step_by(5) {
        for (helped, unlike) in [true, false].into_iter().zip(&mut unlike) {
            let (mut hears, mut loses) = (OpusDecoder::new(rate).unwrap(), OpusDecoder::new(rate).unwrap());
            let (mut whole, mut filled) = (vec![0; frame], vec![0; frame]);
            for packet in &packets[..lost] {
                hears.decode(packet, &mut whole);
                loses.decode(packet, &mut filled);
            }
            hears.decode(&packets[lost], &mut whole);
            loses.conceal(&mut filled, if helped { &packets[lost + 1] } else { &[] });
            let difference: Vec<i16> = whole.iter().zip(&filled).map(|(a, b)| a.saturating_sub(*b)).collect();
            *unlike += power(&difference) / power(&whole) / 6.0;
        }
    }
    assert!(unlike[0] < 0.2 && unlike[0] < unlike[1] / 2.0, "with help {}, without {}", unlike[0], unlike[1]);
}

#[test]
fn a_long_loss_fades_and_what_follows_is_heard_again() {
    for rate in RATES {
        let packets = packets(rate, &tone(rate, 30));
        let mut decoder = OpusDecoder::new(rate).unwrap();
        let mut heard = vec![0; rate as usize / 50];
        packets[..10].iter().for_each(|packet| decoder.decode(packet, &mut heard));
        let before = power(&heard);
        let mut lost = vec![0; rate as usize / 5];
        decoder.conceal(&mut lost, &packets[20]);
        let (first, last) = (power(&lost[..rate as usize / 100]), power(&lost[rate as usize / 8..]));
        assert!(first > before / 6.0, "{rate}: {first} after {before}");
        assert!(last < before / 30.0, "{rate}: {last} at the end");
        packets[20..].iter().for_each(|packet| decoder.decode(packet, &mut heard));
        assert!((0.5..2.0).contains(&(power(&heard) / before)), "{rate}");
    }
}

#[test]
fn a_packet_that_only_says_its_mode_is_a_pause() {
    let rate = 16_000;
    let packets = packets(rate, &vec![0; rate as usize / 2]);
    let mut decoder = OpusDecoder::new(rate).unwrap();
    let mut heard = vec![7; rate as usize / 50];
    packets.iter().for_each(|packet| decoder.decode(packet, &mut heard));
    let silence = &packets.last().unwrap()[..1];
    assert_eq!(LineCodec::Opus.ticks_of(silence), 960);
    for _ in 0..50 {
        decoder.decode(silence, &mut heard);
        assert!(power(&heard) < 100.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_packets_are_survived(
        rate in 0usize..5,
        packets in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..120)), 1..8),
    ) {
        let format = MediaFormat::linear16(RATES[rate]);
        let mut decoder = OpusDecoder::new(RATES[rate]).unwrap();
        for (lost, packet) in packets {
            let samples = LineCodec::Opus.samples_in(LineCodec::Opus.ticks_of(&packet), format);
            let mut heard = vec![0; samples as usize];
            if lost {
                decoder.conceal(&mut vec![0; 777], &packet);
            } else if samples > 0 {
                decoder.decode(&packet, &mut heard);
            }
        }
    }
}
