//! Speech through every line codec and back: how like itself it stays, and that no piece of it counts.

use std::f64::consts::PI;
use std::path::Path;

use patchcord_core::media::{Converter, LineCodec, LineCoding, MediaFormat};

/// Speech-like sound of three seconds that never repeats, at `rate`.
pub fn speech(rate: u32) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../peers/sounds/aperiodic.wav");
    let wav = std::fs::read(file).unwrap();
    let mut converter = Converter::new(MediaFormat::linear16(8_000), MediaFormat::linear16(rate)).unwrap();
    let mut out = Vec::new();
    converter.convert(&wav[44..44 + 48_000], &mut out);
    out
}

/// The codecs with the formats that calls may use them in.
pub fn lines() -> Vec<(LineCodec, MediaFormat)> {
    let mut lines = vec![(LineCodec::G722, MediaFormat::linear16(16_000))];
    if cfg!(feature = "opus") {
        lines.extend(
            [8_000, 16_000, 24_000, 48_000].map(|rate| (LineCodec::Opus, MediaFormat::linear16(rate))),
        );
    }
    lines
}

fn samples(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(2).map(|two| f64::from(i16::from_le_bytes([two[0], two[1]]))).collect()
}

/// The highest likeness of `heard` to `said`, over delays up to 40 ms, told by 8 000 samples of each second.
fn likeness(said: &[f64], heard: &[f64], rate: u32) -> f64 {
    let (most, step) = (rate as usize / 25, rate as usize / 8_000);
    let said: Vec<f64> = said[..said.len() - most].iter().step_by(step).copied().collect();
    let energy = |of: &mut dyn Iterator<Item = &f64>| of.map(|sample| sample * sample).sum::<f64>();
    let said_energy = energy(&mut said.iter());
    (0..most)
        .map(|delay| {
            let heard = || heard[delay..].iter().step_by(step).take(said.len());
            let product: f64 = said.iter().zip(heard()).map(|(a, b)| a * b).sum();
            product / (said_energy * energy(&mut heard())).sqrt()
        })
        .fold(0.0, f64::max)
}

#[test]
fn speech_stays_like_itself_through_every_line_codec() {
    for (codec, format) in lines() {
        let said = speech(format.sample_rate);
        let mut line = LineCoding::new(codec, format).unwrap();
        let mut heard = Vec::new();
        for frame in said.chunks_exact(format.bytes_in(std::time::Duration::from_millis(20))) {
            let payload = line.encode(frame).to_vec();
            assert_eq!(codec.ticks_of(&payload), u64::from(codec.clock_rate()) / 50);
            heard.extend_from_slice(line.decode(&payload));
        }
        let two_seconds = format.sample_rate as usize * 2;
        let likeness =
            likeness(&samples(&said)[..two_seconds], &samples(&heard)[..two_seconds], format.sample_rate);
        assert!(likeness >= 0.95, "{codec} at {format}: {likeness:.4}");
    }
}

#[test]
fn wideband_sound_passes_up_to_seven_kilohertz() {
    for (codec, format) in lines().into_iter().filter(|line| line.1.sample_rate >= 16_000) {
        let step = 2.0 * PI * 6_500.0 / f64::from(format.sample_rate);
        let said: Vec<u8> = (0..format.sample_rate)
            .flat_map(|at| (((step * f64::from(at)).sin() * 8_000.0) as i16).to_le_bytes())
            .collect();
        let mut line = LineCoding::new(codec, format).unwrap();
        let mut heard = Vec::new();
        for frame in said.chunks_exact(format.bytes_in(std::time::Duration::from_millis(20))) {
            let payload = line.encode(frame).to_vec();
            heard.extend_from_slice(line.decode(&payload));
        }
        let power = |of: &[f64]| of.iter().map(|sample| sample * sample).sum::<f64>() / of.len() as f64;
        let (said, heard) = (samples(&said), samples(&heard));
        let gain = 10.0 * (power(&heard[heard.len() / 2..]) / power(&said[said.len() / 2..])).log10();
        assert!(gain.abs() < 3.0, "{codec} at {format}: {gain:.1} dB at 6.5 kHz");
    }
}
