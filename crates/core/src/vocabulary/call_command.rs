//! Everything that a bot asks of a phone, but audio, which travels beside (see [`crate::dialect::Heard`]).

use std::time::Duration;

use super::{Digit, FlowCommand, PhoneNumber, RawMessage, SpeechCommand};

/// What a bot asks of a phone.
#[derive(Debug, Clone, PartialEq)]
pub enum CallCommand {
    /// Answer the ringing call.
    Answer,
    /// Send these digits to the caller.
    Digits(DialDigits),
    /// Say when the audio so far was played.
    Mark {
        /// Returned as given; names may repeat.
        name: Box<str>,
    },
    /// Drop the audio that waits.
    Clear,
    /// Give the call to somebody else.
    Transfer(Transfer),
    /// End the call.
    HangUp(HangUpWhen),
    /// What only flows ask for; no wire carries it.
    Flow(FlowCommand),
    /// What it says of the conversation; wires without words for it leave it out.
    Speech(SpeechCommand),
    /// A command that was understood but cannot be carried out; the bot is told.
    Invalid(super::CommandRefusal),
    /// A message that this dialect does not know, kept and counted.
    Unknown(RawMessage),
}

/// When a hang-up takes place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangUpWhen {
    /// When the audio so far was played: the last word reaches the caller.
    AfterPlayout,
    /// At once.
    Now,
}

/// Digits to send, with pauses between them; at most [`DIAL_DIGITS_MAX`] steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialDigits {
    steps: Vec<Option<Digit>>,
    tone: Duration,
}

impl DialDigits {
    /// Parses `0-9*#A-D` with `,` or `w` for a pause of 500 ms; a bad character refuses the whole.
    ///
    /// # Errors
    /// Says in a sentence which character is wrong or that there are none or too many.
    pub fn parse(text: &str, tone: Duration) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "no digits given: expected 1 to 64 of 0-9, *, #, A-D, or a pause ',' or 'w'".to_owned()
            );
        }
        let mut steps = Vec::with_capacity(text.len().min(DIAL_DIGITS_MAX));
        for (at, key) in text.chars().enumerate() {
            if at == DIAL_DIGITS_MAX {
                return Err(format!("too many digits: at most {DIAL_DIGITS_MAX} in one command"));
            }
            match key {
                ',' | 'w' => steps.push(None),
                key => steps.push(Some(
                    Digit::try_from(key).map_err(|error| format!("character {}: {error}", at + 1))?,
                )),
            }
        }
        Ok(Self { steps, tone })
    }

    /// One digit of that length.
    pub fn one(digit: Digit, tone: Duration) -> Self {
        Self { steps: vec![Some(digit)], tone }
    }

    /// Digits in order; `None` is a pause of [`DIAL_PAUSE`].
    pub fn steps(&self) -> &[Option<Digit>] {
        &self.steps
    }

    /// How long each digit sounds.
    pub fn tone(&self) -> Duration {
        self.tone
    }
}

/// A wish to hand the call to somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// To whom.
    pub to: TransferTo,
    /// The command's name on the wire, for answers about it.
    pub command: &'static str,
}

/// Where a transfer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferTo {
    /// Phones, in the given order.
    Phones(Vec<PhoneNumber>, DialOrder),
    /// An extension of ours.
    Extension(Box<str>),
    /// A flow of ours.
    Flow(Box<str>),
    /// Another bot by its address.
    Bot(Box<str>),
    /// A bot of ours by its name; no wire carries it, built-in bots say it.
    NamedBot(Box<str>),
}

/// How several phones are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialOrder {
    /// All ring; the first answer wins.
    AllAtOnce,
    /// One after the other.
    OneByOne,
}

/// Steps (digits and pauses) in one command.
pub const DIAL_DIGITS_MAX: usize = 64;

/// Destinations of one transfer, whoever asks for it.
pub const DESTINATIONS_MAX: usize = 10;

/// Length of one pause.
pub const DIAL_PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_pauses_are_parsed_and_one_bad_character_refuses_all() {
        let tone = Duration::from_millis(100);
        let dial = DialDigits::parse("1w2#,d", tone).unwrap();
        let keys: Vec<_> = dial.steps().iter().map(|step| step.map(Digit::as_char)).collect();
        assert_eq!(keys, [Some('1'), None, Some('2'), Some('#'), None, Some('D')]);
        assert_eq!(
            DialDigits::parse("12x", tone).unwrap_err(),
            "character 3: not a telephone digit: expected one of 0-9, *, #, A-D"
        );
        assert!(DialDigits::parse("", tone).is_err());
        assert!(DialDigits::parse(&"1".repeat(DIAL_DIGITS_MAX), tone).is_ok());
        assert!(DialDigits::parse(&"1".repeat(DIAL_DIGITS_MAX + 1), tone).is_err());
    }
}
