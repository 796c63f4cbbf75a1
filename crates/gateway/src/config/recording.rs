//! `[recording]`, `numbers[].recording` and the place of recordings: what is recorded, as what, and for how long.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use patchcord_core::media::{Converter, MediaFormat};

use super::flows::wav;
use super::problem::Refusal;
use super::s3::S3;
use super::section::{Section, Setting, wrong_kind};
use super::tree::{Node, Table, Value};

/// The settings of `[recording]` and of the place of recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// How a call is recorded where nothing else is said.
    pub settings: RecordingSettings,
    /// How long recordings are kept; for ever without.
    pub keep: Option<Duration>,
    /// How long a signed link can be used.
    pub links_valid: Duration,
    /// Where they are written, and where they go afterwards.
    pub place: RecordingPlace,
}

/// How a call is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingSettings {
    /// The form of the file.
    pub format: RecordingFormat,
    /// What the caller hears before.
    pub consent: Option<ConsentClip>,
    /// Whether keys that sound in the caller's audio are erased.
    pub mask_digits: bool,
}

/// The form of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordingFormat {
    /// WAV, 16 bits a sample.
    #[default]
    Wav,
    /// Opus in Ogg.
    Opus,
}

/// A clip that was read, linear 16-bit samples at 8 kHz.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentClip(pub Arc<[i16]>);

/// Where recordings are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingPlace {
    /// The folder in which they are written, if not the one in the data folder.
    pub folder: Option<PathBuf>,
    /// The bucket that they are moved to.
    pub bucket: Option<S3>,
}

/// What a number says of its recordings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberRecording {
    /// Its calls are not recorded.
    Off,
    /// They are, as `[recording]` says, but for these.
    On(RecordingWish),
}

/// What is wanted of one recording beside what `[recording]` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingWish {
    /// The form of the file.
    pub format: Option<RecordingFormat>,
    /// What the caller hears before.
    pub consent: Option<ConsentClip>,
    /// Whether keys that sound in the caller's audio are erased.
    pub mask_digits: Option<bool>,
}

impl Recording {
    pub(super) fn read(section: &Section<'_>, storage: &Section<'_>) -> Option<Self> {
        let bucket = S3::read(storage);
        let place: Option<String> = storage.value("recordings");
        let folder = match place {
            Some(place) if !place.starts_with(S3::SCHEME) => Some(PathBuf::from(place)),
            _ => None,
        };
        Some(Self {
            settings: RecordingSettings {
                format: section.value("format")?,
                consent: section.value("consent"),
                mask_digits: section.value("mask_digits")?,
            },
            keep: section.value::<Age>("keep").map(|age| age.0),
            links_valid: section.value("links_valid")?,
            place: RecordingPlace { folder, bucket },
        })
    }
}

impl RecordingSettings {
    /// These settings where `wish` says nothing else.
    #[must_use]
    pub fn with(&self, wish: &RecordingWish) -> Self {
        Self {
            format: wish.format.unwrap_or(self.format),
            consent: wish.consent.clone().or_else(|| self.consent.clone()),
            mask_digits: wish.mask_digits.unwrap_or(self.mask_digits),
        }
    }
}

impl Setting for NumberRecording {
    fn from_node(node: &Node) -> Result<Self, Refusal> {
        match &node.value {
            Value::Flag(false) => Ok(Self::Off),
            Value::Flag(true) => Ok(Self::On(RecordingWish::default())),
            Value::Table(table) => RecordingWish::read(table).map(Self::On),
            _ => Err(wrong_kind(node, "true, false, or a table")),
        }
    }

    fn from_text(text: &str) -> Result<Self, Refusal> {
        bool::from_text(text).map(|on| if on { Self::On(RecordingWish::default()) } else { Self::Off })
    }
}

impl RecordingWish {
    fn read(table: &Table) -> Result<Self, Refusal> {
        let mut wish = Self::default();
        for entry in &table.0 {
            match entry.key.as_str() {
                "format" => wish.format = Some(Setting::from_node(&entry.node)?),
                CONSENT => wish.consent = Some(Setting::from_node(&entry.node)?),
                "mask_digits" => wish.mask_digits = Some(Setting::from_node(&entry.node)?),
                other => return Err(Refusal::unknown("key", other, &["format", CONSENT, "mask_digits"])),
            }
        }
        Ok(wish)
    }
}

impl Setting for RecordingFormat {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        match text {
            "wav" => Ok(Self::Wav),
            "opus" => Ok(Self::Opus),
            _ => Err(Refusal::unknown("format", text, &["wav", "opus"])),
        }
    }
}

/// A length of time that may be given in days.
struct Age(Duration);

impl Setting for Age {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        let days = text.strip_suffix('d').map(str::parse::<u64>);
        match days {
            Some(Ok(days)) if (1..=DAYS_MAX).contains(&days) => Ok(Self(Duration::from_secs(days * 86_400))),
            Some(_) => {
                Err(Refusal::new(format!("\"{text}\" is not a number of days"), "for example \"90d\""))
            }
            None => Duration::from_text(text).map(Self),
        }
    }
}

/// Has the paths of consent clips, and of the whisper of transfers, start at `folder`, that of the configuration.
pub(super) fn resolve_paths(root: &mut Table, folder: &Path) {
    let resolve_key = |table: &mut Table, key: &str| {
        if let Some(Value::Text(path)) = table.find_mut(key).map(|node| &mut node.value) {
            *path = folder.join(&*path).display().to_string();
        }
    };
    let resolve = |table: &mut Table| resolve_key(table, CONSENT);
    if let Some(Value::Table(transfers)) = root.find_mut("transfers").map(|node| &mut node.value) {
        resolve_key(transfers, "whisper");
    }
    if let Some(Value::Table(recording)) = root.find_mut("recording").map(|node| &mut node.value) {
        resolve(recording);
    }
    let Some(Value::List(numbers)) = root.find_mut("numbers").map(|node| &mut node.value) else { return };
    for number in numbers {
        if let Value::Table(number) = &mut number.value
            && let Some(Value::Table(recording)) = number.find_mut("recording").map(|node| &mut node.value)
        {
            resolve(recording);
        }
    }
}

impl Setting for ConsentClip {
    fn from_text(text: &str) -> Result<Self, Refusal> {
        let clip = wav(text, Path::new(text))?;
        if clip.duration() > CONSENT_MAX {
            return Err(Refusal::new(
                format!("{text} lasts {} s", clip.duration().as_secs()),
                "up to a minute",
            ));
        }
        let mut converter = Converter::new(clip.format(), MediaFormat::linear16(8_000))
            .map_err(|error| Refusal::new(error.to_string(), "a WAV file at 8000 Hz"))?;
        let mut bytes = Vec::new();
        converter.convert(clip.audio(), &mut bytes);
        converter.finish(&mut bytes);
        let samples = bytes.chunks_exact(2).map(|two| two.try_into().map_or(0, i16::from_le_bytes));
        Ok(Self(samples.collect()))
    }
}

/// The key of the clip.
const CONSENT: &str = "consent";
/// The folder of recordings in the data folder.
pub(super) const FOLDER: &str = "recordings";
/// The longest consent clip.
const CONSENT_MAX: Duration = Duration::from_secs(60);
/// The longest time that recordings are kept, in days.
const DAYS_MAX: u64 = 36_500;

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    #[test]
    fn recording_is_off_until_a_number_says_otherwise_and_a_number_may_say_how() {
        let number = |recording: &str| {
            let text = format!(
                "[recording]\nformat = \"opus\"\nkeep = \"90d\"\n\
                 [[numbers]]\nnumber = \"1\"\nbot = \"echo\"\n{recording}\n"
            );
            let config = Config::parse(&text).unwrap_or_else(|problems| panic!("{problems}"));
            (config.numbers[0].recording.clone(), config.recording)
        };
        assert_eq!(number("").0, NumberRecording::Off);
        assert_eq!(number("recording = false").0, NumberRecording::Off);
        let (on, recording) = number("recording = true");
        assert_eq!(on, NumberRecording::On(RecordingWish::default()));
        assert_eq!(recording.keep, Some(Duration::from_secs(90 * 86_400)));
        let (wav, _) = number("recording = { format = \"wav\", mask_digits = true }");
        let NumberRecording::On(wish) = wav else { panic!("{wav:?}") };
        let settings = recording.settings.with(&wish);
        assert_eq!((settings.format, settings.mask_digits), (RecordingFormat::Wav, true));
    }

    #[test]
    fn a_wrong_word_a_wrong_age_and_a_missing_clip_are_told_with_a_cure() {
        for (text, word) in [
            ("[recording]\nformat = \"mp3\"\n", "opus"),
            ("[recording]\nkeep = \"0d\"\n", "90d"),
            ("[recording]\nconsent = \"/nowhere.wav\"\n", "/nowhere.wav"),
            ("[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\nrecording = \"yes\"\n", "true"),
            ("[[numbers]]\nnumber = \"1\"\nbot = \"echo\"\nrecording = { formt = \"wav\" }\n", "format"),
        ] {
            let problems = Config::parse(text).unwrap_err().to_string();
            assert!(problems.contains(word), "{text}: {problems}");
        }
    }
}
