//! Talks: one end of a dialect at work, as a text file that is replayed (`docs/talks.md`).
//!
//! Reading is here, doing in `replay`. The files stand beside their dialect; core's tests replay all of them.

mod engine;
mod replay;
mod sound;
mod speech;
mod vocabulary;
mod words;

pub use replay::{Replayed, TalkFailure};

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use patchcord_core::dialect::registry::{
    self, AudioWish, BotSideSettings, DialectRow, PhoneSideSettings, RecordWish, RefusalWish,
};
use patchcord_core::dialect::{EngineSettings, Mapping, MappingProblem};
use patchcord_core::vocabulary::{Moment, SpeechCommand, TranscriptLine, WallClock};

/// Which end of the dialect the talk plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// We hold the phone.
    BotSide,
    /// The other end holds the phone.
    PhoneSide,
}

/// A talk that was read but not replayed.
#[derive(Debug)]
pub struct Talk {
    name: String,
    role: Role,
    row: &'static DialectRow,
    audio: AudioWish,
    record: RecordWish,
    refusals: RefusalWish,
    mapping: Option<Arc<Mapping>>,
    engine: Option<Arc<EngineSettings>>,
    history: Vec<TranscriptLine>,
    seed: u64,
    clock: WallClock,
    lines: Vec<Line>,
}

/// One line of the file.
#[derive(Debug)]
struct Line {
    text: String,
    kind: LineKind,
}

#[derive(Debug, PartialEq)]
enum LineKind {
    /// Blank, a comment, or of the head.
    Silent,
    Input {
        /// `None`: at the moment of the input before.
        at: Option<Moment>,
        /// How often it is done unwatched; `None`: once, watched.
        skip: Option<u32>,
        phrase: Phrase,
    },
    Expected(Phrase),
}

/// A line without its stamp: what kind it is, and the rest.
#[derive(Debug, Clone, PartialEq)]
struct Phrase {
    keyword: &'static str,
    text: String,
}

impl Talk {
    /// Reads the talk in a file.
    ///
    /// # Errors
    /// Names the file and the line that cannot be read.
    pub fn read(path: &Path) -> Result<Self, TalkFailure> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&name, &text),
            Err(error) => Err(TalkFailure::new(&name, 0, error.to_string())),
        }
    }

    /// Reads a talk; `name` stands in failures.
    ///
    /// # Errors
    /// Names the line that cannot be read.
    pub fn parse(name: &str, text: &str) -> Result<Self, TalkFailure> {
        let mut lines = text.lines().enumerate();
        let mut read = Vec::new();
        let mut talk = loop {
            let Some((at, line)) = lines.next() else {
                return Err(TalkFailure::new(name, 0, "no `dialect NAME role ROLE` line".to_owned()));
            };
            read.push(Line { text: line.to_owned(), kind: LineKind::Silent });
            if !is_silent(line) {
                break Self::begin(name, line).map_err(|what| TalkFailure::new(name, at + 1, what))?;
            }
        };
        talk.lines = read;
        for (at, line) in lines {
            let kind = talk.read_line(line).map_err(|what| TalkFailure::new(name, at + 1, what))?;
            talk.lines.push(Line { text: line.to_owned(), kind });
        }
        Ok(talk)
    }

    /// The dialect's name.
    pub fn dialect(&self) -> &'static str {
        self.row.name
    }

    /// Which end it plays.
    pub fn role(&self) -> Role {
        self.role
    }

    fn begin(name: &str, line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (dialect, role) = match words.as_slice() {
            ["dialect", dialect, "role", "bot-side"] => (dialect, Role::BotSide),
            ["dialect", dialect, "role", "phone-side"] => (dialect, Role::PhoneSide),
            _ => {
                return Err(
                    "the first line must be `dialect NAME role bot-side` or `… phone-side`".to_owned()
                );
            }
        };
        Ok(Self {
            name: name.to_owned(),
            role,
            row: registry::find(dialect).ok_or_else(|| format!("there is no dialect `{dialect}`"))?,
            audio: AudioWish::default(),
            record: RecordWish::Send,
            refusals: RefusalWish::Tell,
            mapping: None,
            engine: None,
            history: Vec::new(),
            seed: 1,
            clock: WallClock::new(CLOCK_WHEN_LEFT_OUT, Moment::START),
            lines: Vec::new(),
        })
    }

    fn read_line(&mut self, line: &str) -> Result<LineKind, String> {
        if is_silent(line) {
            return Ok(LineKind::Silent);
        }
        if !self.lines.iter().any(|line| line.kind != LineKind::Silent) && self.read_option(line)? {
            return Ok(LineKind::Silent);
        }
        let trimmed = line.trim();
        let (at, rest) = match trimmed.strip_prefix('+') {
            Some(stamped) => {
                let (stamp, rest) =
                    stamped.split_once(char::is_whitespace).ok_or("a stamp without a line")?;
                (Some(Moment::START + vocabulary::millis(stamp)?), rest.trim())
            }
            None => (None, trimmed),
        };
        let (skip, rest) = match rest.strip_prefix("skip ") {
            Some(skipped) => {
                let (times, rest) = skipped.trim().split_once(char::is_whitespace).ok_or("skip what?")?;
                (Some(times.parse().map_err(|_| format!("`{times}` is no number of times"))?), rest.trim())
            }
            None => (None, rest),
        };
        let phrase = Phrase::parse(rest).ok_or_else(|| format!("`{rest}` is no line of a talk"))?;
        if self.is_input(&phrase) {
            return Ok(LineKind::Input { at, skip, phrase });
        }
        if at.is_some() || skip.is_some() {
            return Err(format!("`{}` is an expected line: those have no stamp and no skip", phrase.keyword));
        }
        Ok(LineKind::Expected(phrase))
    }

    /// Reads an option of the head; `false` if the line is none.
    fn read_option(&mut self, line: &str) -> Result<bool, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["audio", encoding, rate, "frame", frame] => {
                let given = |word: &str| (word != "-").then(|| word.to_owned());
                let rate = given(rate).map(|rate| rate.parse().map_err(|_| format!("`{rate}` is no rate")));
                self.audio = AudioWish {
                    encoding: given(encoding),
                    sample_rate: rate.transpose()?,
                    frame: given(frame).map(|frame| vocabulary::millis(&frame)).transpose()?,
                };
            }
            ["record", "send"] => self.record = RecordWish::Send,
            ["record", "omit"] => self.record = RecordWish::Omit,
            ["refusals", "tell"] => self.refusals = RefusalWish::Tell,
            ["refusals", "quiet"] => self.refusals = RefusalWish::Quiet,
            ["seed", number] => self.seed = number.parse().map_err(|_| format!("`{number}` is no number"))?,
            ["clock", number] => {
                let unix_ms = number.parse().map_err(|_| format!("`{number}` is no number"))?;
                self.clock = WallClock::new(unix_ms, Moment::START);
            }
            ["mapping", ..] => self.mapping = Some(mapping(line)?),
            ["history", ..] => self.history.push(history(line)?),
            ["engine", ..] => self.engine = Some(engine::parse(line)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn is_input(&self, phrase: &Phrase) -> bool {
        match phrase.keyword {
            "event" => self.role == Role::BotSide,
            "command" => self.role == Role::PhoneSide,
            keyword => matches!(keyword, "audio >" | "wire <" | "timeout"),
        }
    }

    fn bot_side_settings(&self) -> Result<BotSideSettings, String> {
        Ok(BotSideSettings {
            audio: (self.row.audio)(&self.audio)?,
            record: self.record,
            refusals: self.refusals,
            mapping: self.mapping.clone(),
            engine: self.engine.clone(),
        })
    }

    fn phone_side_settings(&self) -> Result<PhoneSideSettings, String> {
        Ok(PhoneSideSettings {
            audio: (self.row.audio)(&self.audio)?,
            seed: self.seed,
            clock: self.clock,
            mapping: self.mapping.clone(),
        })
    }
}

impl Phrase {
    fn parse(line: &str) -> Option<Self> {
        KEYWORDS.iter().find_map(|keyword| {
            let mut rest = line;
            for word in keyword.split(' ') {
                let after = rest.trim_start().strip_prefix(word)?;
                if !(after.is_empty() || after.starts_with(char::is_whitespace)) {
                    return None;
                }
                rest = after;
            }
            Some(Self { keyword, text: rest.trim().to_owned() })
        })
    }

    /// The phrase as a line without a stamp, in the columns of a talk.
    fn line(&self) -> String {
        format!("{:STAMP_WIDTH$}{:<KEYWORD_WIDTH$} {}", "", self.keyword, self.text).trim_end().to_owned()
    }
}

/// Reads `mapping {…}`, the keys of the dialect `custom` as JSON on one line.
fn mapping(line: &str) -> Result<Arc<Mapping>, String> {
    let json = line.trim().strip_prefix("mapping").unwrap_or_default();
    let keys = serde_json::from_str(json).map_err(|error| error.to_string())?;
    let problems = |problems: Vec<MappingProblem>| {
        problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    Mapping::from_json(&keys).map(Arc::new).map_err(problems)
}

/// Reads `history line …`, something that was said before.
fn history(line: &str) -> Result<TranscriptLine, String> {
    let words = words::split(line.trim().strip_prefix("history").unwrap_or_default())?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match speech::parse_command(&words) {
        Some(Ok(SpeechCommand::Line(line))) => Ok(line),
        _ => Err("history is a line: `history line ROLE final ITEM TEXT`".to_owned()),
    }
}

fn is_silent(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

/// Time since the beginning of a talk.
fn since_start(moment: Moment) -> Duration {
    moment - Moment::START
}

const KEYWORDS: [&str; 9] =
    ["event", "command", "audio >", "audio <", "wire >", "wire <", "timeout", "malformed", "close"];

const STAMP_WIDTH: usize = 9;
const KEYWORD_WIDTH: usize = 8;

/// The moment of seed 000's examples.
const CLOCK_WHEN_LEFT_OUT: u64 = 1_707_204_900_000;
