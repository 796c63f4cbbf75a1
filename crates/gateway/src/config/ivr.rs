//! `[ivr]`: where the keys of the built-in bot `ivr` lead.

use std::collections::BTreeMap;
use std::sync::Arc;

use patchcord_core::vocabulary::Digit;

use super::bots::BuiltInBot;
use super::problem::Refusal;
use super::section::{Section, wrong_kind};
use super::tree::{Node, Value};
use super::vendor_port::no_such_bot;

/// The keys of the menu and the bots that they lead to; clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IvrMenu {
    keys: Arc<BTreeMap<char, String>>,
    is_default: bool,
}

impl IvrMenu {
    /// The key that says the prompt again.
    pub const REPEAT: Digit = Digit::STAR;

    /// A menu of these keys.
    pub fn of(keys: impl IntoIterator<Item = (Digit, String)>) -> Self {
        let keys = keys.into_iter().map(|(key, bot)| (key.as_char(), bot)).collect();
        Self { keys: Arc::new(keys), is_default: false }
    }

    pub(super) fn read(section: &Section<'_>, bots: &[&str]) -> IvrMenu {
        if !section.has("keys") {
            return IvrMenu::default();
        }
        let mut keys = Vec::new();
        for (key, node) in section.map("keys") {
            match entry(key, node, bots) {
                Ok(entry) => keys.push(entry),
                Err(refusal) => {
                    section.report.refuse(
                        &format!("{}.{key}", section.path_of("keys")),
                        &node.place,
                        refusal,
                    );
                }
            }
        }
        if section.map("keys").is_empty() {
            section.refuse("keys", Refusal::new("a menu without keys", "name keys, or leave the table out"));
        }
        IvrMenu::of(keys)
    }

    /// The bot behind a key.
    pub fn bot(&self, key: Digit) -> Option<&str> {
        self.keys.get(&key.as_char()).map(String::as_str)
    }

    /// Whether the keys are those that the spoken menu tells.
    pub fn is_default(&self) -> bool {
        self.is_default
    }
}

impl Default for IvrMenu {
    /// 1 is the echo, 2 the parrot, 3 the tone.
    fn default() -> Self {
        let bots = [('1', BuiltInBot::Echo), ('2', BuiltInBot::Parrot), ('3', BuiltInBot::Tone)];
        let keys = bots.into_iter().map(|(key, bot)| (key, bot.as_str().to_owned())).collect();
        Self { keys: Arc::new(keys), is_default: true }
    }
}

fn entry(key: &str, node: &Node, bots: &[&str]) -> Result<(Digit, String), Refusal> {
    let cure = "one of 0-9, #, A-D";
    let digit = Digit::try_from(key)
        .map_err(|_| Refusal::new(format!("\"{key}\" is not a key of the telephone"), cure))?;
    if digit == IvrMenu::REPEAT {
        return Err(Refusal::new("the key * says the prompt again", cure));
    }
    let Value::Text(bot) = &node.value else { return Err(wrong_kind(node, "a string")) };
    if bot == BuiltInBot::Ivr.as_str() {
        return Err(Refusal::new("the menu leads to itself", "name another bot"));
    }
    if !bots.contains(&bot.as_str()) {
        return Err(no_such_bot(bot, bots));
    }
    Ok((digit, bot.clone()))
}
