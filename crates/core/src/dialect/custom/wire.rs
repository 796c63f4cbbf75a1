//! A message with placeholders, compiled once: pieces to write, and paths by which the other end reads it.
//!
//! A placeholder that is a JSON string by itself becomes a value of its own type; inside a longer string, or with
//! `:string` behind its name, it is text. Nothing that is put in can leave its string.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::slot::{Identity, Matter, Position, Slot};
use super::walk::{self, Token};
use crate::dialect::Malformed;
use crate::dialect::envelope::path::Path;
use crate::dialect::envelope::pick::{PATHS_MAX, Picked, pick};
use crate::dialect::json::{Base64Text, Text, expect_object};

/// A compiled template.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    literals: Box<str>,
    pieces: Box<[Piece]>,
    fields: Box<[Field]>,
    /// How many of the first fields are needed to hear audio in a call that is on: the signs and the audio itself.
    audio_fields: usize,
    /// Where each field stands.
    paths: Box<[Path]>,
}

/// What is written, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(Range<usize>),
    Slot(Slot),
}

/// What the reading end looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    /// A placeholder, with the text before and behind it in its string.
    Slot { slot: Slot, before: Box<str>, behind: Box<str> },
    /// A value that tells this message from others, as JSON.
    Sign(Box<str>),
}

/// By what of a template its messages are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signs {
    /// By their kind where they have one, else by all that is constant.
    Kind,
    /// By all that is constant.
    All,
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateError {
    /// The byte of the text where it is.
    pub at: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub cure: String,
}

/// A message that was recognised by its template.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'t, 'a> {
    template: &'t Template,
    picked: [Picked<'a>; PATHS_MAX],
}

/// A placeholder in the text.
struct Mark {
    /// With its braces.
    range: Range<usize>,
    slot: Slot,
    /// Whether `:string` stands behind its name.
    as_text: bool,
    /// The first byte of the string that it stands in, if it stands in one.
    string: Option<usize>,
}

impl Template {
    /// Compiles `text`, in which only the `allowed` placeholders may stand.
    ///
    /// # Errors
    /// What is wrong with placeholders, at most [`ERRORS_TOLD`]; without that, the first place that is no JSON.
    pub fn parse(text: &str, allowed: &[Slot]) -> Result<Self, Vec<TemplateError>> {
        Self::parse_signed(text, allowed, Signs::Kind)
    }

    /// Compiles `text`, whose messages the other end is to know by those signs.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub fn parse_signed(text: &str, allowed: &[Slot], signs: Signs) -> Result<Self, Vec<TemplateError>> {
        let marks = find_marks(text, allowed)?;
        let json = without_bare_marks(text, &marks);
        check_json(&json).map_err(|error| vec![error])?;
        let compiler = Compiler { text, marks: &marks };
        let (literals, pieces) = compiler.pieces(&json);
        let size = literals.len() + marks.iter().map(|mark| mark.slot.bytes_max()).sum::<usize>();
        if size > TEMPLATE_OUTPUT_BYTES_MAX {
            let what = format!(
                "the message could become {size} bytes, at most {TEMPLATE_OUTPUT_BYTES_MAX} are sent"
            );
            return Err(vec![TemplateError { at: 0, what, cure: "shorten the template".to_owned() }]);
        }
        let fields = compiler.fields(&json, signs).map_err(|error| vec![error])?;
        let (paths, fields): (Vec<_>, Vec<_>) = fields.into_iter().unzip();
        let is_needed =
            |field: &&Field| matches!(field, Field::Sign(_) | Field::Slot { slot: Slot::Audio, .. });
        let audio_fields = fields.iter().take_while(is_needed).count();
        Ok(Self { literals, pieces, fields: fields.into(), audio_fields, paths: paths.into() })
    }

    /// Whether that placeholder stands in it.
    pub fn has(&self, slot: Slot) -> bool {
        self.pieces.contains(&Piece::Slot(slot))
    }

    /// The name under which its kind stands, `type` or `event`, if it has one.
    pub fn kind_name(&self) -> Option<&str> {
        self.kind().map(|(path, _)| path.first())
    }

    /// Its kind and where that stands, if it has one.
    pub fn kind(&self) -> Option<(&Path, &str)> {
        self.paths.iter().zip(&self.fields).find_map(|(path, field)| match field {
            Field::Sign(sign) if (path.len() == 1 && walk::KIND_NAMES.contains(&path.first())) => {
                Some((path, &**sign))
            }
            _ => None,
        })
    }

    /// Whether something constant tells its messages from others.
    pub fn is_signed(&self) -> bool {
        self.fields.iter().any(|field| matches!(field, Field::Sign(_)))
    }

    /// Appends the message.
    pub fn write(&self, to: &mut Vec<u8>, of: &Identity, at: Position, matter: Matter<'_>) {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(range) => {
                    to.extend_from_slice(self.literals.get(range.clone()).unwrap_or_default().as_bytes());
                }
                Piece::Slot(slot) => slot.write(to, of, at, matter),
            }
        }
    }

    /// Reads a message of this template's shape; `None` if it has another.
    ///
    /// # Errors
    /// [`Malformed::NotJson`]. The caller has asked `expect_object` before.
    pub fn read<'t, 'a>(&'t self, text: &'a str) -> Result<Option<Reading<'t, 'a>>, Malformed> {
        self.read_fields(text, self.fields.len())
    }

    /// Reads no more of a message than its audio.
    ///
    /// # Errors
    /// As [`Template::read`].
    pub fn read_audio<'t, 'a>(&'t self, text: &'a str) -> Result<Option<Reading<'t, 'a>>, Malformed> {
        self.read_fields(text, self.audio_fields)
    }

    fn read_fields<'t, 'a>(
        &'t self,
        text: &'a str,
        count: usize,
    ) -> Result<Option<Reading<'t, 'a>>, Malformed> {
        let mut picked = [Picked::default(); PATHS_MAX];
        let paths = self.paths.get(..count).unwrap_or_default();
        pick(text, paths, picked.get_mut(..paths.len()).unwrap_or_default())?;
        let signed = self.fields.iter().zip(&picked).all(|(field, picked)| match field {
            Field::Slot { .. } => true,
            Field::Sign(sign) => picked.raw().is_some_and(|raw| is_same(raw, sign)),
        });
        let is_bare = || !self.is_signed() && picked.iter().all(|picked| picked.raw().is_none());
        Ok((signed && !is_bare()).then_some(Reading { template: self, picked }))
    }
}

impl<'a> Reading<'_, 'a> {
    /// Whether there is a value for that placeholder.
    pub fn has(&self, slot: Slot) -> bool {
        self.find(slot).is_some()
    }

    /// The value of a placeholder as text, if it is there.
    ///
    /// # Errors
    /// [`Malformed::Field`] for a value that is neither text nor a whole number.
    pub fn text(&self, slot: Slot) -> Result<Option<Text<'a>>, Malformed> {
        let Some((picked, before, behind)) = self.find(slot) else { return Ok(None) };
        let Some(text) = picked.text(slot.name())? else { return Ok(None) };
        if before.is_empty() && behind.is_empty() {
            return Ok(Some(text));
        }
        let inner = text.as_str().strip_prefix(before).and_then(|text| text.strip_suffix(behind));
        Ok(inner.map(|inner| Text::from(Cow::Owned(inner.to_owned()))))
    }

    /// The base64 text of the audio, if it is there.
    ///
    /// # Errors
    /// [`Malformed::Field`] for a value that is no string.
    pub fn audio(&self) -> Result<Option<Base64Text<'a>>, Malformed> {
        let Some((picked, before, behind)) = self.find(Slot::Audio) else { return Ok(None) };
        let Some(audio) = picked.base64(Slot::Audio.name())? else { return Ok(None) };
        let inner = audio.raw().strip_prefix(before).and_then(|text| text.strip_suffix(behind));
        Ok(inner.map(Base64Text::new))
    }

    fn find(&self, wanted: Slot) -> Option<(Picked<'a>, &str, &str)> {
        self.template.fields.iter().zip(self.picked).find_map(|(field, picked)| match field {
            Field::Slot { slot, before, behind } if *slot == wanted && picked.raw().is_some() => {
                Some((picked, &**before, &**behind))
            }
            _ => None,
        })
    }
}

impl fmt::Debug for Template {
    /// Shows the length only: templates may carry keys of an engine.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} bytes)", self.literals.len())
    }
}

/// Whether a value is the sign, which is no object and no array, however they are written.
fn is_same(raw: &str, sign: &str) -> bool {
    // Before a tree is made of a whole message.
    if raw.starts_with(['{', '[']) {
        return false;
    }
    let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    let is_plain = |text: &str| text.starts_with('"') && !text.contains('\\');
    raw == sign || (!(is_plain(raw) && is_plain(sign)) && value(raw) == value(sign))
}

/// Finds every placeholder, inside strings and outside.
fn find_marks(text: &str, allowed: &[Slot]) -> Result<Vec<Mark>, Vec<TemplateError>> {
    let (mut marks, mut errors) = (Vec::new(), Vec::new());
    let bytes = text.as_bytes();
    let (mut at, mut string) = (0, None);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if string.is_some() => at += 2,
            b'"' => {
                at += 1;
                string = if string.is_none() { Some(at) } else { None };
            }
            b'{' if bytes.get(at + 1) == Some(&b'{') => {
                let range = at..text[at..].find("}}").map_or(at + 2, |len| at + len + 2);
                match mark(text, range.clone(), string, allowed) {
                    Ok(_) if marks.len() == MARKS_MAX => {
                        let what = format!("more than {MARKS_MAX} placeholders");
                        errors.push(TemplateError { at, what, cure: "leave some out".to_owned() });
                        break;
                    }
                    Ok(mark) => marks.push(mark),
                    Err(error) => errors.push(error),
                }
                if errors.len() == ERRORS_TOLD {
                    break;
                }
                at = range.end;
            }
            _ => at += 1,
        }
    }
    if errors.is_empty() { Ok(marks) } else { Err(errors) }
}

fn mark(
    text: &str,
    range: Range<usize>,
    string: Option<usize>,
    allowed: &[Slot],
) -> Result<Mark, TemplateError> {
    let error = |what: String| {
        let names: Vec<_> = allowed.iter().map(|slot| format!("{{{{{}}}}}", slot.name())).collect();
        TemplateError { at: range.start, what, cure: format!("here may stand {}", names.join(" ")) }
    };
    let inner = text.get(range.start + 2..range.end.saturating_sub(2)).unwrap_or_default();
    if inner.is_empty() {
        return Err(error("a placeholder is not closed by }}".to_owned()));
    }
    let (name, as_text) = match inner.trim().strip_suffix(":string") {
        Some(name) => (name.trim(), true),
        None => (inner.trim(), false),
    };
    match Slot::find(name) {
        Some(slot) if allowed.contains(&slot) => Ok(Mark { range, slot, as_text, string }),
        Some(_) => Err(error(format!("{{{{{name}}}}} has no value in this message"))),
        None if name.len() <= NAME_SHOWN_MAX && !name.chars().any(char::is_control) => {
            Err(error(format!("unknown placeholder {{{{{name}}}}}")))
        }
        None => Err(error("unknown placeholder".to_owned())),
    }
}

/// The text with strings of the same length where placeholders stand outside of strings: JSON, if the template is good.
fn without_bare_marks(text: &str, marks: &[Mark]) -> String {
    let mut json = String::with_capacity(text.len());
    let mut from = 0;
    for mark in marks.iter().filter(|mark| mark.string.is_none()) {
        json.push_str(&text[from..mark.range.start]);
        json.push('"');
        json.extend(std::iter::repeat_n('_', mark.range.len() - 2));
        json.push('"');
        from = mark.range.end;
    }
    json.push_str(&text[from..]);
    json
}

fn check_json(json: &str) -> Result<(), TemplateError> {
    let error = |at: usize, what: String| TemplateError { at, what, cure: CURE.to_owned() };
    // The second reading finds numbers that nobody can take; the first one is exact about the place of a slip.
    let read = serde_json::from_str::<serde::de::IgnoredAny>(json).map(drop);
    if let Err(wrong) = read.and_then(|()| serde_json::from_str::<serde_json::Value>(json).map(drop)) {
        let line =
            json.split_inclusive('\n').take(wrong.line().saturating_sub(1)).map(str::len).sum::<usize>();
        let at = (line + wrong.column().saturating_sub(1)).min(json.len());
        // The position stands in the place of serde's own, which counts the same text by lines.
        let what = wrong.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        return Err(error(at, format!("not JSON: {what}")));
    }
    expect_object(json).map_err(|malformed| error(0, malformed.to_string()))
}

/// Makes the two forms of a template out of its text.
struct Compiler<'a> {
    text: &'a str,
    marks: &'a [Mark],
}

impl Compiler<'_> {
    fn pieces(&self, json: &str) -> (Box<str>, Box<[Piece]>) {
        let (mut literals, mut pieces) = (String::new(), Vec::new());
        let mut literal = |text: &str, pieces: &mut Vec<Piece>| {
            let start = literals.len();
            literals.push_str(text);
            match pieces.last_mut() {
                Some(Piece::Literal(range)) => range.end = literals.len(),
                _ if text.is_empty() => {}
                _ => pieces.push(Piece::Literal(start..literals.len())),
            }
        };
        let mut from = 0;
        for mark in self.marks {
            let Range { start, end } = mark.range;
            let whole = mark.string == Some(start) && json[end..].starts_with('"');
            let behind = json[end..].strip_prefix('"').filter(|_| whole).unwrap_or(&json[end..]);
            // A name of an object is text, whatever its placeholder.
            let is_key = (whole || mark.string.is_none()) && behind.trim_start().starts_with(':');
            let is_bare = mark.slot.is_bare() && !mark.as_text && !is_key;
            if whole && is_bare {
                literal(&self.text[from..start - 1], &mut pieces);
                pieces.push(Piece::Slot(mark.slot));
                from = end + 1;
                continue;
            }
            let quote = if mark.string.is_some() || is_bare { "" } else { "\"" };
            literal(&self.text[from..start], &mut pieces);
            literal(quote, &mut pieces);
            pieces.push(Piece::Slot(mark.slot));
            literal(quote, &mut pieces);
            from = end;
        }
        literal(&self.text[from..], &mut pieces);
        (literals.into(), pieces.into())
    }

    /// What the reading end looks at: the kind if there is one, else all that is constant, and the placeholders.
    fn fields(&self, json: &str, known_by: Signs) -> Result<Vec<(Path, Field)>, TemplateError> {
        let (mut slots, mut signs, mut kind) = (Vec::new(), Vec::new(), None);
        walk::walk(json, |steps, range, token| {
            if token == Token::Name {
                return;
            }
            let within = |mark: &&Mark| range.start <= mark.range.start && mark.range.end <= range.end;
            let mut marks = self.marks.iter().filter(within);
            let path = || Path::new(steps);
            match (marks.next(), marks.next()) {
                (None, _) if token == Token::Text && walk::is_kind(steps) => {
                    kind = Some((path(), Field::Sign(json[range].into())));
                }
                (None, _) => signs.push((path(), Field::Sign(json[range].into()))),
                (Some(mark), None) => {
                    slots.push((mark.range.start, path(), field_of(json, range, mark)));
                }
                // Where two stand in one string nobody can tell where one ends.
                (Some(_), Some(_)) => {}
            }
        });
        if slots.len() > SLOTS_MAX {
            let at = slots.get(SLOTS_MAX).map_or(0, |(at, ..)| *at);
            let what = format!("more than {SLOTS_MAX} placeholders");
            return Err(TemplateError { at, what, cure: "leave some out".to_owned() });
        }
        let signs = match kind {
            Some(kind) if known_by == Signs::Kind => vec![kind],
            kind => kind.into_iter().chain(signs).take(PATHS_MAX - SLOTS_MAX).collect(),
        };
        // Audio is what comes: it is found by the first of the paths.
        slots.sort_by_key(|(.., field)| !matches!(field, Field::Slot { slot: Slot::Audio, .. }));
        let slots = slots.into_iter().map(|(_, path, field)| (path, field));
        Ok(signs.into_iter().chain(slots).collect())
    }
}

/// The field of the one placeholder in a string.
fn field_of(json: &str, range: Range<usize>, mark: &Mark) -> Field {
    let plain =
        |text: &str| serde_json::from_str::<String>(&format!("\"{text}\"")).unwrap_or_default().into();
    let (before, behind) = if mark.string.is_some() {
        (&json[range.start + 1..mark.range.start], &json[mark.range.end..range.end - 1])
    } else {
        ("", "")
    };
    // Audio is read as it stands in the message, with its escapes; all else is unescaped before.
    if mark.slot == Slot::Audio {
        return Field::Slot { slot: mark.slot, before: before.into(), behind: behind.into() };
    }
    Field::Slot { slot: mark.slot, before: plain(before), behind: plain(behind) }
}

const CURE: &str = "a template is one JSON object, with placeholders such as \"{{audio}}\"";

/// Bytes of a message made by a template.
pub const TEMPLATE_OUTPUT_BYTES_MAX: usize = 65_536;

/// Placeholders of one template, wherever they stand.
const MARKS_MAX: usize = 128;

/// Errors of one template that are told: whoever wrote it may be somebody on a call that waits.
const ERRORS_TOLD: usize = 16;

/// Placeholders in one template.
const SLOTS_MAX: usize = 24;

/// Characters of an unknown placeholder that are repeated in an error.
const NAME_SHOWN_MAX: usize = 32;
