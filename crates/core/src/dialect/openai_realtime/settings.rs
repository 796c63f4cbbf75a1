//! What a session with an engine is to be: the part of a bot's settings that goes to the engine itself.
//!
//! Fractions are kept in hundredths, so that settings can be compared. What is left out is the engine's own choice.

use std::time::Duration;

/// One engine as a bot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineSettings {
    /// Whose names are spoken.
    pub naming: Naming,
    /// The model; it is named by the address, and with the session where the naming allows it.
    pub model: Box<str>,
    /// Who the agent is and what it does.
    pub instructions: Box<str>,
    /// What it does first, as instructions for its first response; without one it waits for the caller.
    pub greeting: Option<Box<str>>,
    /// Its voice.
    pub voice: Option<Box<str>>,
    /// How fast it speaks, in hundredths (25 to 150).
    pub speed: Option<Hundredths>,
    /// How freely it speaks, in hundredths (60 to 120); only the beta names have it.
    pub temperature: Option<Hundredths>,
    /// The most tokens of one response.
    pub max_output_tokens: Option<u32>,
    /// When a turn of the caller begins and ends.
    pub turn_detection: TurnDetection,
    /// Who writes down what the caller says; without it there is no transcript of the caller.
    pub transcription: Option<Transcription>,
    /// What is filtered out of the caller's audio.
    pub noise_reduction: Option<NoiseReduction>,
    /// What the engine may call.
    pub tools: Vec<ToolSpec>,
    /// Whether it must, may or must not call one: `auto`, `required`, `none`, or a tool's name.
    pub tool_choice: Option<Box<str>>,
    /// What becomes of the caller's keys.
    pub digits: DigitWish,
}

/// The two names of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// The names since August 2025.
    Ga,
    /// Those before, with a flat session.
    Beta,
}

/// A fraction in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hundredths(pub u16);

/// When a turn begins and ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TurnDetection {
    /// By loudness.
    Server(ServerVad, Turns),
    /// By meaning.
    Semantic(Option<Eagerness>, Turns),
    /// Never by itself.
    Off,
}

/// The knobs of the detection by loudness.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerVad {
    /// How loud speech is, in hundredths (0 to 100).
    pub threshold: Option<Hundredths>,
    /// Audio before the speech that counts to it.
    pub prefix_padding: Option<Duration>,
    /// Silence that ends a turn.
    pub silence_duration: Option<Duration>,
    /// Silence of the caller after which the engine asks again.
    pub idle_timeout: Option<Duration>,
}

/// How soon the engine takes a pause for the end of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eagerness {
    /// After 8 s at the latest.
    Low,
    /// After 4 s at the latest.
    Medium,
    /// After 2 s at the latest.
    High,
    /// As medium.
    Auto,
}

/// What the engine does at the edges of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turns {
    /// At the end.
    pub answer: TurnAnswer,
    /// At the beginning, while the bot speaks.
    pub barge_in: BargeIn,
}

/// What follows the end of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TurnAnswer {
    /// The engine answers.
    ByItself,
    /// Nothing.
    Nothing,
}

/// What a caller does that speaks while the bot does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BargeIn {
    /// It cuts the bot short.
    Interrupts,
    /// Nothing: the bot speaks on.
    Ignored,
}

/// Who writes down what the caller says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcription {
    /// The model that does it.
    pub model: Box<str>,
    /// The language of the caller (ISO 639-1).
    pub language: Option<Box<str>>,
    /// Words that may come up.
    pub prompt: Option<Box<str>>,
}

/// What is filtered out of the caller's audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoiseReduction {
    /// For a microphone near the mouth.
    NearField,
    /// For one across a room.
    FarField,
}

/// A tool as the engine is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolSpec {
    /// Its name.
    pub name: Box<str>,
    /// When and how to use it.
    pub description: Box<str>,
    /// The JSON Schema of its arguments, checked to be a JSON object by whoever makes it.
    pub parameters: Box<str>,
}

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigitWish {
    /// The engine is told of it and answers.
    Answered,
    /// The engine is told of it.
    Told,
    /// Nothing.
    Ignored,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            naming: Naming::Ga,
            model: DEFAULT_MODEL.into(),
            instructions: "".into(),
            greeting: None,
            voice: None,
            speed: None,
            temperature: None,
            max_output_tokens: None,
            turn_detection: TurnDetection::Server(ServerVad::default(), Turns::default()),
            transcription: Some(Transcription::default()),
            noise_reduction: None,
            tools: Vec::new(),
            tool_choice: None,
            digits: DigitWish::Answered,
        }
    }
}

impl Default for Turns {
    fn default() -> Self {
        Self { answer: TurnAnswer::ByItself, barge_in: BargeIn::Interrupts }
    }
}

impl Default for Transcription {
    fn default() -> Self {
        Self { model: DEFAULT_TRANSCRIBER.into(), language: None, prompt: None }
    }
}

impl TurnDetection {
    /// What the engine does at the edges of a turn; `None` where it sees none.
    pub fn turns(&self) -> Option<Turns> {
        match self {
            Self::Server(_, turns) | Self::Semantic(_, turns) => Some(*turns),
            Self::Off => None,
        }
    }
}

impl Eagerness {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Auto => "auto",
        }
    }
}

impl NoiseReduction {
    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::NearField => "near_field",
            Self::FarField => "far_field",
        }
    }
}

/// The model when none is named.
pub const DEFAULT_MODEL: &str = "gpt-realtime";

/// Who writes down what the caller says when nobody is named.
pub const DEFAULT_TRANSCRIBER: &str = "gpt-4o-mini-transcribe";
