//! What support needs to understand one call, without anybody's number, digit, word or secret.

use std::io;
use std::path::Path;

use serde_json::Value;

use super::archive::Text;
use super::recorded::{self, Missing};
use super::{Examination, Report, masking, remote};
use crate::calls::wire_log;
use crate::config::{Config, Loaded, Problems, load, to_toml};
use crate::net::Egress;
use crate::tasks::Tasks;

/// Everything about one call.
#[derive(Debug)]
pub struct Bundle {
    /// The call.
    pub call_id: String,
    /// The files.
    pub texts: Vec<Text>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The configuration does not say where records are.
    #[error("the configuration is wrong, and only it says where the records are")]
    Config(Problems),
    /// There is no such call.
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// Collects what is known of the call that is `wanted`.
///
/// # Errors
/// [`BundleError`].
pub async fn collect(
    wanted: &str,
    examination: &Examination,
    report: &Report,
    tasks: Tasks,
) -> Result<Bundle, BundleError> {
    let loaded = load(examination.file.as_deref(), &examination.environment).map_err(BundleError::Config)?;
    let config = &loaded.config;
    let data_dir = &config.server.data_dir;
    let record = recorded::find(&data_dir.join("calls.jsonl"), wanted)?;
    let call_id = record["call_id"].as_str().unwrap_or_default().to_owned();
    let mut texts = vec![
        text(
            "call.json",
            "the call's record: times, cause, counters",
            format!("{:#}\n", masking::record(&record)),
        ),
        text("media.txt", "what the two ends spoke", media(&record, config)),
    ];
    texts.extend(wire(data_dir, &call_id, config));
    texts.extend(of_machine(&loaded, report));
    if let Some(server) = &report.server
        && let Some(page) = remote::metrics(server, config, &Egress::new(tasks)).await
    {
        texts.push(text("metrics.txt", "the server's counters at the time of packing", page));
    }
    texts.insert(0, readme(&call_id, &texts));
    Ok(Bundle { call_id, texts })
}

fn text(name: &'static str, about: &'static str, text: String) -> Text {
    Text { name, about, text }
}

/// The configuration and the doctor's report.
fn of_machine(loaded: &Loaded, report: &Report) -> [Text; 2] {
    let config = masking::text(&to_toml(&masking::keys(&loaded.shown)));
    let report = masking::text(&format!("{:#}\n", report.as_json()));
    [
        text("config.toml", "the configuration in effect, and where each value came from", config),
        text("doctor.json", "what `patchcord doctor` found: version, machine, ports, bots", report),
    ]
}

/// The languages and the audio of the two ends.
fn media(record: &Value, config: &Config) -> String {
    let word = |name: &str| record[name].as_str().unwrap_or("?").to_owned();
    let bot = config.bots.iter().find(|bot| record["bot"] == bot.name.as_str());
    let audio = bot.map_or_else(
        || "the phone's own audio".to_owned(),
        |bot| format!("{}, {} ms a message", bot.audio.format, bot.audio.frame.as_millis()),
    );
    format!(
        "phone    {}\ngateway  patchcord {}\nbot      {} speaks {}: {audio}\n\n\
         The log has the whole chain at \"call answered\", in the lines with this call_id.\n",
        word("phone_dialect"),
        env!("CARGO_PKG_VERSION"),
        word("bot"),
        word("bot_dialect"),
    )
}

/// The messages of the call's wires, and their picture; or why they are missing.
fn wire(data_dir: &Path, call_id: &str, config: &Config) -> Vec<Text> {
    let why = match wire_log::read(data_dir, call_id) {
        Ok(lines) => {
            let messages = lines.iter().filter_map(|line| serde_json::to_string(line).ok());
            let messages: String = messages.map(|line| line + "\n").collect();
            return vec![
                text("ladder.txt", "the call's messages as a picture", wire_log::ladder(&lines)),
                text("wire.jsonl", "the same messages, redacted, one JSON object a line", messages),
            ];
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => format!("The wire log cannot be read: {error}\n"),
        Err(_) if config.log.wire => {
            "There is no wire log of this call: it was off when the call began, or newer calls took its place.\n"
                .to_owned()
        }
        Err(_) => {
            "Wire logging was off. Set [log] wire = true, restart, and pack the next call that goes wrong.\n"
                .to_owned()
        }
    };
    vec![text("wire.txt", "why the call's messages are not here", why)]
}

fn readme(call_id: &str, texts: &[Text]) -> Text {
    let mut readme =
        format!("A call of Patchcord {}, packed for support\n{call_id}\n\n", env!("CARGO_PKG_VERSION"));
    for Text { name, about, .. } in texts {
        readme.push_str(&format!("{name:<12} {about}\n"));
    }
    readme.push_str(
        "\nNot in here: phone numbers, digits, what was said, tokens, headers, paths and queries of addresses. They are\n\
         replaced by what they are, as in <10 digits>. Names of hosts, bots and files are in here: look before you send.\n\
         What would help beside it: the log from a minute before the call to a minute after it.\n",
    );
    text("README.txt", "this text", readme)
}
