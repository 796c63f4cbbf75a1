//! `patchcord dialects`: the languages that this version speaks.

use serde_json::json;

use super::args::DialectsArgs;
use super::exit::Exit;
use super::terminal::{Ink, data, paint, talk};
use crate::config::dialect_names::SPOKEN;
use crate::config::{AudioFormat, DialectName};

/// Runs `patchcord dialects`.
pub fn run(args: &DialectsArgs) -> Exit {
    let names: Vec<DialectName> = match &args.name {
        None => SPOKEN.iter().filter_map(|name| DialectName::parse(name).ok()).collect(),
        Some(name) => match DialectName::parse(name) {
            Ok(name) => vec![name],
            Err(refusal) => {
                talk(&paint(&refusal.what, Ink::Red));
                if let Some(word) = refusal.did_you_mean {
                    talk(&format!("did you mean \"{word}\"?"));
                }
                talk(&refusal.cure);
                return Exit::Usage;
            }
        },
    };
    if args.json {
        let rows: Vec<_> = names.iter().map(|name| as_json(*name)).collect();
        data(&format!("{:#}\n", serde_json::Value::from(rows)));
    } else {
        for name in names {
            data(&as_line(name));
        }
    }
    Exit::Ok
}

fn as_line(name: DialectName) -> String {
    let AudioFormat { encoding, sample_rate, frame } = AudioFormat::default_of(name);
    format!("{:<16} {} {sample_rate} Hz, {} ms\n", name.as_str(), encoding.as_str(), frame.as_millis())
}

fn as_json(name: DialectName) -> serde_json::Value {
    let AudioFormat { encoding, sample_rate, frame } = AudioFormat::default_of(name);
    json!({
        "name": name.as_str(),
        "default_audio": {
            "encoding": encoding.as_str(),
            "sample_rate": sample_rate,
            "frame_ms": u64::try_from(frame.as_millis()).unwrap_or_default(),
        },
    })
}
