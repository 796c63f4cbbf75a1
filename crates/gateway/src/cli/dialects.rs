//! `patchcord dialects`: the languages that this version speaks, and the messages of one.

use std::fmt::Write as _;

use patchcord_core::dialect::MAPPING_EXAMPLE;
use patchcord_core::dialect::registry::{DIALECTS, DialectRow};
use patchcord_core::media::Encoding;
use serde_json::{Value, json};

use super::args::DialectsArgs;
use super::exit::Exit;
use super::terminal::{data, tell_refusal};
use crate::config::{CUSTOM, DialectName};

/// Runs `patchcord dialects`.
pub fn run(args: &DialectsArgs) -> Exit {
    let Some(name) = &args.name else {
        if args.json {
            data(&format!("{:#}\n", DIALECTS.iter().map(|row| as_json(row)).collect::<Value>()));
        } else {
            DIALECTS.iter().for_each(|row| data(&format!("{:<16} {}\n", row.name, row.summary)));
        }
        return Exit::Ok;
    };
    match DialectName::parse(name) {
        Ok(dialect) if args.json => data(&format!("{:#}\n", as_json(dialect.row()))),
        Ok(dialect) => data(&as_text(dialect.row())),
        Err(refusal) => {
            tell_refusal(&refusal);
            return Exit::Usage;
        }
    }
    Exit::Ok
}

fn as_text(row: &DialectRow) -> String {
    let audio = row.default_audio;
    let mut text = format!(
        "{}: {}\naudio: {} at {} Hz, {} ms a message, unless configured\n",
        row.name,
        row.summary,
        word(audio.format.encoding),
        audio.format.sample_rate,
        audio.frame.as_millis()
    );
    let _ = writeln!(text, "carries: {}", capabilities(row).join(", "));
    for (title, to_bot) in [("phone → bot", true), ("bot → phone", false)] {
        let _ = writeln!(text, "{title}");
        for message in row.messages.iter().filter(|message| message.to_bot == to_bot) {
            let _ = writeln!(text, "  {:<28} {}", message.name, message.meaning);
        }
    }
    if row.name == CUSTOM {
        let _ = write!(text, "a mapping with every key, as JSON\n{MAPPING_EXAMPLE}");
    }
    text
}

fn as_json(row: &DialectRow) -> Value {
    let audio = row.default_audio;
    let messages = row.messages.iter().map(|message| {
        json!({ "name": message.name, "to": if message.to_bot { "bot" } else { "phone" }, "meaning": message.meaning })
    });
    json!({
        "name": row.name,
        "summary": row.summary,
        "default_audio": {
            "encoding": word(audio.format.encoding),
            "sample_rate": audio.format.sample_rate,
            "frame_ms": u64::try_from(audio.frame.as_millis()).unwrap_or(u64::MAX),
        },
        "capabilities": capabilities(row),
        "messages": messages.collect::<Value>(),
    })
}

fn capabilities(row: &DialectRow) -> Vec<String> {
    row.capabilities.iter().map(|capability| kebab(&format!("{capability:?}"))).collect()
}

/// `DigitsToBot` as `digits-to-bot`.
fn kebab(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !text.is_empty() {
            text.push('-');
        }
        text.extend(character.to_lowercase());
    }
    text
}

fn word(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Pcmu => "mulaw",
        Encoding::Pcma => "alaw",
        Encoding::Linear16 => "linear16",
    }
}
