//! What was said in a call, as its file and the API show it, and the same as plain text and as captions.

use std::fmt::{self, Write};
use std::time::Duration;

use patchcord_core::agent::analytics::heard;
use patchcord_core::vocabulary::{HeardPart, Role, Utterance, iso8601};
use serde::Serialize;
use utoipa::ToSchema;

use super::{milliseconds, ucid};
use crate::store::StoredCall;

/// The transcript of a call: `docs/schemas/transcript.schema.json`.
#[derive(Serialize, ToSchema)]
pub struct Transcript {
    /// The vendor's id of the call; of a SIP call, ours.
    #[schema(example = "CALL-2025-10-07-001")]
    pub ucid: String,
    /// Our id of the call.
    #[schema(example = "call_1707204900000_a1b2c3a1b2c3a1b2c3a1b2c3")]
    pub call_id: String,
    /// The bot's name in the configuration.
    #[schema(example = "dealer")]
    pub agent: String,
    /// When the call's first sign came, RFC 3339.
    #[schema(example = "2024-02-06T07:15:00.000Z")]
    pub started_at: String,
    /// When it was over; `null` while it is up.
    #[schema(example = "2024-02-06T07:15:42.000Z")]
    pub ended_at: Option<String>,
    /// Every finished utterance, in the order in which they began.
    pub conversation: Vec<Line>,
}

/// What one of both said in one piece.
#[derive(Serialize, ToSchema)]
#[schema(as = TranscriptLine)]
pub struct Line {
    /// `caller` or `bot`.
    #[schema(example = "caller")]
    pub role: &'static str,
    /// The words; of the bot also those that nobody heard.
    pub text: String,
    /// When it began, from `started_at` on.
    pub start_ms: u64,
    /// When it ended, or was cut off.
    pub end_ms: u64,
    /// Whether the other one heard it: `true`, `false`, or `"partial"`.
    pub heard: Heard,
    /// How much audio of it was heard.
    pub heard_ms: u64,
    /// The words that were heard, where that is a part of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heard_text: Option<String>,
    /// Of an answer of the bot: how long the caller waited for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_ms: Option<u64>,
}

/// How much of an utterance was heard.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = TranscriptHeard)]
pub enum Heard {
    /// All or nothing.
    Whole(bool),
    /// `partial`.
    Partly(&'static str),
}

/// Utterances in the order in which they began.
pub(super) fn in_order(mut utterances: Vec<Utterance>) -> Vec<Utterance> {
    utterances.sort_by_key(|utterance| utterance.start);
    utterances
}

impl Transcript {
    /// The transcript of `call`, in which this was said.
    pub fn of(call: &StoredCall, utterances: Vec<Utterance>) -> Self {
        Self {
            ucid: ucid(call).to_owned(),
            call_id: call.call_id.clone(),
            agent: call.bot.clone(),
            started_at: iso8601(call.started_ms),
            ended_at: call.ended_ms.map(iso8601),
            conversation: in_order(utterances).into_iter().map(Line::of).collect(),
        }
    }

    /// A line each, with its time; what nobody heard stands in brackets.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.conversation {
            let (heard, unheard) = line.parts();
            let gap = if heard.is_empty() || unheard.is_empty() { "" } else { " " };
            let unheard = if unheard.is_empty() { String::new() } else { format!("[not heard: {unheard}]") };
            // Writing into memory has nothing to fail at.
            let _ = writeln!(text, "{} {}: {heard}{gap}{unheard}", Clock(line.start_ms), line.role);
        }
        text
    }

    /// Captions (WebVTT), on the time axis of the call.
    pub fn vtt(&self) -> String {
        let mut text = "WEBVTT\n".to_owned();
        for (number, line) in self.conversation.iter().enumerate() {
            let (heard, unheard) = line.parts();
            let unheard = if unheard.is_empty() {
                String::new()
            } else {
                format!(" <c.unheard>{}</c>", escaped(&unheard))
            };
            // A cue has to last.
            let end_ms = line.end_ms.max(line.start_ms + 1);
            let _ = write!(
                text,
                "\n{}\n{} --> {}\n<v {}>{}{unheard}\n",
                number + 1,
                Clock(line.start_ms),
                Clock(end_ms),
                line.role,
                escaped(&heard)
            );
        }
        text
    }
}

impl Line {
    fn of(utterance: Utterance) -> Self {
        let heard_text = match utterance.heard {
            HeardPart::First { text_bytes, .. } => {
                let end = utterance.text.floor_char_boundary(text_bytes);
                Some(utterance.text.get(..end).unwrap_or_default().to_owned())
            }
            HeardPart::All | HeardPart::Nothing => None,
        };
        Self {
            role: role_word(utterance.role),
            start_ms: milliseconds(utterance.start),
            end_ms: milliseconds(utterance.end),
            heard: match utterance.heard {
                HeardPart::All => Heard::Whole(true),
                HeardPart::Nothing => Heard::Whole(false),
                HeardPart::First { .. } => Heard::Partly("partial"),
            },
            heard_ms: milliseconds(heard(&utterance)),
            heard_text,
            response_ms: utterance.response.map(milliseconds),
            text: utterance.text.into(),
        }
    }

    /// The words that were heard and those that were not, each on one line.
    fn parts(&self) -> (String, String) {
        let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        match (&self.heard, &self.heard_text) {
            (Heard::Partly(_), Some(heard)) => {
                (one_line(heard), one_line(self.text.get(heard.len()..).unwrap_or_default()))
            }
            (Heard::Whole(false), _) => (String::new(), one_line(&self.text)),
            _ => (one_line(&self.text), String::new()),
        }
    }
}

/// The word of a role in files and answers.
pub(super) fn role_word(role: Role) -> &'static str {
    match role {
        Role::Caller => "caller",
        Role::Bot => "bot",
    }
}

/// Milliseconds as hours, minutes and seconds: `00:01:02.345`.
struct Clock(u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = Duration::from_millis(self.0);
        let (seconds, ms) = (time.as_secs(), time.subsec_millis());
        write!(f, "{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
    }
}

/// Words as they may stand in a cue: no tag, no arrow.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{call, talk};
    use super::*;

    #[test]
    fn a_transcript_says_who_said_what_when_and_how_much_of_it_was_heard() {
        let transcript = serde_json::to_value(Transcript::of(&call(), talk())).unwrap();
        assert_eq!(transcript["ucid"], "CALL/1");
        assert_eq!(transcript["started_at"], "2024-02-06T07:35:00.000Z");
        let lines = transcript["conversation"].as_array().unwrap();
        let heard: Vec<_> = lines.iter().map(|line| &line["heard"]).collect();
        assert_eq!(heard, [&true.into(), &serde_json::Value::from(true), &"partial".into(), &false.into()]);
        assert_eq!(lines[2]["heard_text"], "The price");
        assert_eq!((&lines[2]["heard_ms"], &lines[3]["heard_ms"]), (&700.into(), &0.into()));
        assert_eq!((&lines[1]["role"], &lines[2]["response_ms"]), (&"caller".into(), &450.into()));
        assert!(lines[0].get("heard_text").is_none() && lines[0].get("response_ms").is_none());
    }

    #[test]
    fn as_text_and_as_captions_unheard_words_are_marked_and_no_word_is_markup() {
        let transcript = Transcript::of(&call(), talk());
        assert_eq!(
            transcript.text(),
            "00:00:00.500 bot: Namaskar\n\
             00:00:02.000 caller: <b>Price</b> & --> now\n\
             00:00:03.450 bot: The price [not heard: is ten]\n\
             00:00:05.000 bot: [not heard: Anything else?]\n"
        );
        let vtt = transcript.vtt();
        assert!(
            vtt.starts_with("WEBVTT\n\n1\n00:00:00.500 --> 00:00:01.500\n<v bot>Namaskar\n\n2\n"),
            "{vtt}"
        );
        assert!(vtt.contains("<v caller>&lt;b&gt;Price&lt;/b&gt; &amp; --&gt; now\n"), "{vtt}");
        assert!(vtt.contains("<v bot>The price <c.unheard>is ten</c>\n"), "{vtt}");
        assert!(vtt.contains("00:00:05.000 --> 00:00:05.001\n"), "{vtt}");
    }
}
