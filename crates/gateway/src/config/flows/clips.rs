//! The clips that steps name: those that come with Patchcord, and WAV files beside the configuration.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use patchcord_core::flow::{Clip, HouseClips};
use patchcord_core::media::{MediaFormat, SineTone};

use super::super::problem::Refusal;

/// The clips of one configuration, each read once.
pub(super) struct Clips<'a> {
    folder: &'a Path,
    read: BTreeMap<String, Clip>,
}

impl<'a> Clips<'a> {
    pub(super) fn new(folder: &'a Path) -> Self {
        Self { folder, read: BTreeMap::new() }
    }

    /// The clip that `text` names.
    pub(super) fn find(&mut self, text: &str) -> Result<Clip, Refusal> {
        if let Some(clip) = self.read.get(text) {
            return Ok(clip.clone());
        }
        let clip = match text.strip_prefix("clip:") {
            Some(name) => starter(name)?,
            None => wav(text, &self.folder.join(text))?,
        };
        self.read.insert(text.to_owned(), clip.clone());
        Ok(clip)
    }

    /// What flows say of themselves.
    pub(super) fn house(&self) -> HouseClips {
        HouseClips {
            unavailable: embedded(UNAVAILABLE),
            goodbye: embedded(GOODBYE),
            tone: tone(),
            thanks: embedded(include_bytes!("../../../assets/flow/thanks.ulaw")),
            place: embedded(include_bytes!("../../../assets/flow/place.ulaw")),
            places: PLACES.into_iter().map(embedded).collect(),
            further: embedded(include_bytes!("../../../assets/flow/later.ulaw")),
        }
    }

    /// What is said after a wrong key where nothing else is named.
    pub(super) fn invalid(&self) -> Clip {
        embedded(INVALID)
    }
}

fn starter(name: &str) -> Result<Clip, Refusal> {
    let found = STARTERS.iter().find(|(own, _)| *own == name);
    found.map(|(_, audio)| embedded(audio)).ok_or_else(|| {
        let names: Vec<&str> = STARTERS.iter().map(|(name, _)| *name).collect();
        Refusal::unknown("clip", name, &names)
    })
}

fn embedded(audio: &[u8]) -> Clip {
    Clip::new(audio, MediaFormat::PCMU_8K)
}

/// Half a second of 440 Hz.
fn tone() -> Clip {
    let mut samples = [0; 4_000];
    SineTone::new(8_000, 440.0, 8_000).fill(&mut samples);
    let audio: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    Clip::new(audio, MediaFormat::linear16(8_000))
}

/// Reads a WAV file: 16-bit, mono, 8 or 16 kHz.
pub(in super::super) fn wav(text: &str, path: &Path) -> Result<Clip, Refusal> {
    let convert = format!("for example: sox {text} -r 8000 -c 1 -b 16 new.wav");
    let unreadable = |error: hound::Error| match error {
        hound::Error::IoError(error) => Refusal::new(
            format!("the clip {text} cannot be read: {error}"),
            "paths start at the folder of the configuration file; clip:NAME is one that comes with Patchcord",
        ),
        error => Refusal::new(
            format!("the clip {text} is no WAV file that can be played: {error}"),
            convert.clone(),
        ),
    };
    let reader = hound::WavReader::open(path).map_err(unreadable)?;
    let spec = reader.spec();
    let is_pcm = spec.sample_format == hound::SampleFormat::Int && spec.bits_per_sample == 16;
    if !is_pcm || spec.channels != 1 || ![8_000, 16_000].contains(&spec.sample_rate) {
        let what = format!(
            "the clip {text} has {} channels of {} bits at {} Hz; 16-bit mono at 8000 or 16000 Hz is played",
            spec.channels, spec.bits_per_sample, spec.sample_rate
        );
        return Err(Refusal::new(what, convert));
    }
    let format = MediaFormat::linear16(spec.sample_rate);
    let length = format.duration_of_samples(u64::from(reader.duration()));
    if length.is_zero() || length > CLIP_MAX {
        return Err(Refusal::new(
            format!("the clip {text} lasts {} s", length.as_secs()),
            "1 sample to 5 minutes",
        ));
    }
    let mut audio = Vec::with_capacity(format.bytes_in(length));
    for sample in reader.into_samples::<i16>() {
        audio.extend_from_slice(&sample.map_err(unreadable)?.to_le_bytes());
    }
    Ok(Clip::new(audio, format))
}

/// The longest clip.
const CLIP_MAX: Duration = Duration::from_secs(300);

const UNAVAILABLE: &[u8] = include_bytes!("../../../assets/ivr/unavailable.ulaw");
const GOODBYE: &[u8] = include_bytes!("../../../assets/ivr/goodbye.ulaw");
const INVALID: &[u8] = include_bytes!("../../../assets/flow/invalid.ulaw");

/// "One" to "nine".
const PLACES: [&[u8]; 9] = [
    include_bytes!("../../../assets/flow/one.ulaw"),
    include_bytes!("../../../assets/flow/two.ulaw"),
    include_bytes!("../../../assets/flow/three.ulaw"),
    include_bytes!("../../../assets/flow/four.ulaw"),
    include_bytes!("../../../assets/flow/five.ulaw"),
    include_bytes!("../../../assets/flow/six.ulaw"),
    include_bytes!("../../../assets/flow/seven.ulaw"),
    include_bytes!("../../../assets/flow/eight.ulaw"),
    include_bytes!("../../../assets/flow/nine.ulaw"),
];

/// What comes with Patchcord, µ-law at 8 kHz; the words stand in `docs/flows.md`.
pub(super) const STARTERS: &[(&str, &[u8])] = &[
    ("welcome", include_bytes!("../../../assets/flow/welcome.ulaw")),
    ("choose", include_bytes!("../../../assets/ivr/choose.ulaw")),
    ("number", include_bytes!("../../../assets/flow/number.ulaw")),
    ("invalid", INVALID),
    ("unavailable", UNAVAILABLE),
    ("queue", include_bytes!("../../../assets/flow/queue.ulaw")),
    ("music", include_bytes!("../../../assets/flow/music.ulaw")),
    ("voicemail", include_bytes!("../../../assets/flow/voicemail.ulaw")),
    ("closed", include_bytes!("../../../assets/flow/closed.ulaw")),
    ("goodbye", GOODBYE),
];
