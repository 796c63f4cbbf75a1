//! Replays a talk: says and hears what it says, compares what came of it, writes it anew if asked to.

use std::fmt;

use patchcord_core::dialect::{Dialect, Heard, Out, Wire};
use patchcord_core::media::MediaFormat;
use patchcord_core::vocabulary::Moment;

use super::vocabulary::{Scene, Word};
use super::{KEYWORD_WIDTH, Line, LineKind, Phrase, Role, Talk, since_start, sound, words};

/// Why a talk fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkFailure {
    talk: String,
    line: usize,
    what: String,
}

/// A talk as it went: whether it went as written, and how it would have to be written.
#[derive(Debug)]
pub struct Replayed {
    failure: Option<TalkFailure>,
    rewritten: String,
}

/// One input with what it should cause and what it caused.
struct Step {
    /// Index of the input line.
    input: usize,
    /// Indices of the expected lines.
    expected: Vec<usize>,
    actual: Vec<Phrase>,
    agrees: bool,
}

impl Talk {
    /// Replays the talk from its beginning.
    ///
    /// # Errors
    /// An input line that cannot be done (what it caused being wrong is told by [`Replayed::failure`]).
    pub fn replay(&self) -> Result<Replayed, TalkFailure> {
        let failed = |what| TalkFailure::new(&self.name, 0, what);
        let steps = match self.role {
            Role::BotSide => {
                let settings = self.bot_side_settings().map_err(failed)?;
                let mut side = (self.row.bot_side)(&settings);
                side.remember(&self.history);
                self.steps(&mut *side)?
            }
            Role::PhoneSide => {
                let settings = self.phone_side_settings().map_err(failed)?;
                self.steps(&mut *(self.row.phone_side)(&settings))?
            }
        };
        let failure = steps.iter().find(|step| !step.agrees).map(|step| self.difference(step));
        Ok(Replayed { failure, rewritten: self.rewrite(&steps) })
    }

    fn steps<S: Word, H: Word>(
        &self,
        dialect: &mut dyn Dialect<Say = S, Hear = H>,
    ) -> Result<Vec<Step>, TalkFailure> {
        let mut scene =
            Scene { dialect: self.row.name.to_owned(), clock: self.clock, last_wire: String::new() };
        let mut steps = Vec::new();
        let mut out = Out::new();
        let mut now = Moment::START;
        for (input, line) in self.lines.iter().enumerate() {
            let LineKind::Input { at, skip, phrase } = &line.kind else { continue };
            let failed = |what| TalkFailure::new(&self.name, input + 1, what);
            now = advance(dialect, now, *at, phrase).map_err(failed)?;
            let mut actual = Vec::new();
            for _ in 0..skip.unwrap_or(1) {
                actual = act(dialect, &mut out, now, phrase, &mut scene).map_err(failed)?;
                if let (Some(_), Some(broken)) =
                    (skip, actual.iter().find(|phrase| phrase.keyword == "malformed"))
                {
                    return Err(failed(format!("skipped, but it was malformed: {}", broken.text)));
                }
            }
            if skip.is_some() {
                actual.clear();
            }
            let expected = self.expected_after(input);
            let meant = expected.iter().map(|(_, phrase)| canonical::<H>(phrase, dialect.format(), &scene));
            let came = actual.iter().map(|phrase| canonical::<H>(phrase, dialect.format(), &scene));
            let agrees = meant.eq(came);
            steps.push(Step {
                input,
                expected: expected.iter().map(|(at, _)| *at).collect(),
                actual,
                agrees,
            });
        }
        Ok(steps)
    }

    fn expected_after(&self, input: usize) -> Vec<(usize, &Phrase)> {
        let after = self.lines.iter().enumerate().skip(input + 1);
        after
            .take_while(|(_, line)| !matches!(line.kind, LineKind::Input { .. }))
            .filter_map(|(at, line)| match &line.kind {
                LineKind::Expected(phrase) => Some((at, phrase)),
                LineKind::Silent | LineKind::Input { .. } => None,
            })
            .collect()
    }

    fn difference(&self, step: &Step) -> TalkFailure {
        let mut what = format!("{}\n  expected:\n", self.lines[step.input].text.trim());
        let expected: Vec<&str> = step.expected.iter().map(|at| self.lines[*at].text.trim()).collect();
        let actual: Vec<String> = step.actual.iter().map(|phrase| phrase.line().trim().to_owned()).collect();
        let list = |lines: &[&str]| match lines {
            [] => "    nothing\n".to_owned(),
            lines => lines.iter().map(|line| format!("    {line}\n")).collect(),
        };
        what.push_str(&list(&expected));
        what.push_str("  came:\n");
        what.push_str(&list(&actual.iter().map(String::as_str).collect::<Vec<_>>()));
        TalkFailure::new(&self.name, step.input + 1, what)
    }

    /// The file with what came in place of what was expected, where they differ.
    fn rewrite(&self, steps: &[Step]) -> String {
        let mut text = String::new();
        let wrong: Vec<usize> =
            steps.iter().filter(|step| !step.agrees).flat_map(|step| step.expected.iter().copied()).collect();
        for (at, Line { text: line, .. }) in self.lines.iter().enumerate() {
            if !wrong.contains(&at) {
                text.push_str(line);
                text.push('\n');
            }
            if let Some(step) = steps.iter().find(|step| step.input == at && !step.agrees) {
                step.actual.iter().for_each(|phrase| text.push_str(&format!("{}\n", phrase.line())));
            }
        }
        text
    }
}

impl Replayed {
    /// The first input that caused something else than was expected.
    pub fn failure(&self) -> Option<&TalkFailure> {
        self.failure.as_ref()
    }

    /// The talk with what came as what is expected; comments and inputs stay.
    pub fn rewritten(&self) -> &str {
        &self.rewritten
    }
}

impl TalkFailure {
    /// `line` counts from 1; 0 is the whole talk.
    pub(super) fn new(talk: &str, line: usize, what: String) -> Self {
        Self { talk: talk.to_owned(), line, what }
    }
}

impl fmt::Display for TalkFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.talk, self.line, self.what)
    }
}

/// The moment of an input, which must not pass over a deadline of the dialect.
fn advance<S, H>(
    dialect: &dyn Dialect<Say = S, Hear = H>,
    before: Moment,
    at: Option<Moment>,
    phrase: &Phrase,
) -> Result<Moment, String> {
    let now = at.unwrap_or(before);
    if now < before {
        return Err(format!("time runs backwards: it is +{}ms already", before.as_millis()));
    }
    let due = dialect.poll_timeout();
    let shown = due.map_or("none".to_owned(), |due| format!("+{}ms", since_start(due).as_millis()));
    match phrase.keyword {
        "timeout" if due != Some(now) => Err(format!("the dialect's deadline is {shown}")),
        "timeout" => Ok(now),
        _ if due.is_some_and(|due| due < now) => Err(format!("passes over the dialect's deadline {shown}")),
        _ => Ok(now),
    }
}

/// Does one input and says what it caused.
fn act<S: Word, H: Word>(
    dialect: &mut dyn Dialect<Say = S, Hear = H>,
    out: &mut Out<H>,
    now: Moment,
    phrase: &Phrase,
    scene: &mut Scene,
) -> Result<Vec<Phrase>, String> {
    out.clear();
    let format = dialect.format();
    let text = phrase.text.as_str();
    let mut malformed = None;
    match (phrase.keyword, text.strip_prefix("binary ")) {
        ("timeout", _) => dialect.handle_timeout(now, out),
        ("audio >", _) => dialect.encode_audio(&parse_sound(text, format)?, now, out),
        ("wire <", Some(name)) => {
            malformed = dialect.decode(Wire::Binary(&parse_sound(name, format)?), now, out).err();
        }
        ("wire <", None) => {
            scene.last_wire = sound::expand(text, format)?;
            malformed = dialect.decode(Wire::Text(&scene.last_wire), now, out).err();
        }
        _ => dialect.encode(&S::parse(text, scene)?, now, out),
    }
    let mut caused = came(out, dialect.format(), scene);
    caused.extend(malformed.map(|error| Phrase { keyword: "malformed", text: error.to_string() }));
    caused.extend(out.close_code().map(|code| Phrase { keyword: "close", text: code.to_string() }));
    Ok(caused)
}

/// What an output holds, as a talk shows it.
fn came<H: Word>(out: &Out<H>, format: MediaFormat, scene: &Scene) -> Vec<Phrase> {
    let wire = out.messages().map(|(_, wire)| Phrase {
        keyword: "wire >",
        text: match wire {
            Wire::Text(text) => sound::fold(text, format),
            Wire::Binary(bytes) => format!("binary {}", sound::describe(bytes, format)),
        },
    });
    let heard = out.heard().iter().map(|heard| match heard {
        Heard::Audio(span) => Phrase { keyword: "audio <", text: sound::describe(out.audio(span), format) },
        Heard::Item(item) => Phrase { keyword: H::KEYWORD, text: item.format(scene) },
    });
    wire.chain(heard).collect()
}

/// The form in which two phrases that mean the same are equal.
fn canonical<H: Word>(phrase: &Phrase, format: MediaFormat, scene: &Scene) -> Result<Canonical<H>, String> {
    let text = phrase.text.as_str();
    Ok(match (phrase.keyword, text.strip_prefix("binary ")) {
        ("audio <", _) => Canonical::Audio(parse_sound(text, format)?),
        ("wire >", Some(name)) => Canonical::Binary(parse_sound(name, format)?),
        ("wire >", None) => Canonical::Text(without_json_space(&sound::expand(text, format)?)),
        ("malformed" | "close", _) => Canonical::Text(format!("{:KEYWORD_WIDTH$}{text}", phrase.keyword)),
        _ => Canonical::Item(H::parse(text, scene)?),
    })
}

#[derive(PartialEq)]
enum Canonical<H> {
    Audio(Vec<u8>),
    Binary(Vec<u8>),
    Text(String),
    Item(H),
}

fn parse_sound(text: &str, format: MediaFormat) -> Result<Vec<u8>, String> {
    sound::parse(&text.split_whitespace().collect::<Vec<_>>(), format)
}

/// Takes white space between JSON tokens away; a text that is no JSON stays as it is.
fn without_json_space(text: &str) -> String {
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return text.to_owned();
    }
    let mut tight = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = if first == '"' { words::quoted_len(rest).unwrap_or(rest.len()) } else { first.len_utf8() };
        if !first.is_whitespace() {
            tight.push_str(&rest[..len]);
        }
        rest = &rest[len..];
    }
    tight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_counts_inside_strings_only() {
        assert_eq!(without_json_space(r#"{ "a b" : [ 1, 2 ] }"#), r#"{"a b":[1,2]}"#);
        assert_eq!(without_json_space("not json"), "not json");
    }
}
