//! The step `voicemail`: a greeting, and the bounds of a message.

use std::time::Duration;

use patchcord_core::flow::Voicemail;

use super::super::problem::Refusal;
use super::clips::Clips;
use super::fields::Fields;

/// Reads the step.
pub(super) fn read(step: &Fields<'_>, clips: &mut Clips<'_>) -> Option<Voicemail> {
    let fields = step.table("voicemail")?;
    fields.check_known(&["greeting", "max", "min", "silence"]);
    let greeting = match fields.has("greeting") {
        true => fields.make("greeting", |text| clips.find(text)),
        false => clips.find("clip:voicemail").ok(),
    };
    let max = bounded(&fields, "max", Duration::from_secs(120));
    let min = fields.value_or("min", Duration::from_secs(2));
    if min > max {
        fields.refuse("min", Refusal::new("longer than a message may be", "no more than max"));
    }
    let silence = bounded(&fields, "silence", Duration::from_secs(5));
    Some(Voicemail { greeting: greeting?, max, min, silence })
}

/// A duration from a second to the longest message.
fn bounded(fields: &Fields<'_>, key: &str, default: Duration) -> Duration {
    let value = fields.value_or(key, default);
    if value < Duration::from_secs(1) || value > MESSAGE_MAX {
        fields.refuse(key, Refusal::new("too short or too long", "1s to 10m"));
    }
    value
}

/// The longest message.
const MESSAGE_MAX: Duration = Duration::from_secs(600);
