//! What a reload changes, in words that hold no value: keys by name, bots, numbers and the like by count.

use std::collections::BTreeMap;
use std::fmt;

use super::keys;
use super::print::ShownKey;

/// What differs between what is in effect and a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// What takes effect at once, a phrase each: `2 bots changed`, `http.ws_token changed`.
    pub live: Vec<String>,
    /// The declared keys whose new values wait for a restart.
    pub restart: Vec<&'static str>,
}

impl Changes {
    /// Compares the keys in effect with those of a file.
    pub(super) fn between(running: &[ShownKey], fresh: &[ShownKey]) -> Changes {
        let mut changes = Changes::default();
        let (before, after) = (Settings::of(running), Settings::of(fresh));
        let mut names: Vec<&Name> = before.order.iter().chain(&after.order).collect();
        names.sort();
        names.dedup();
        let mut counts: BTreeMap<(&'static str, &'static str), usize> = BTreeMap::new();
        for name in names {
            let (old, new) = (before.keys.get(name), after.keys.get(name));
            let differing = differing(old, new);
            if differing.is_empty() {
                continue;
            }
            let waiting: Vec<_> = differing.iter().filter(|key| key.restart).map(|key| key.path).collect();
            if waiting.is_empty() {
                match name.table {
                    Some(table) => {
                        *counts.entry((table, verb(old.is_some(), new.is_some()))).or_default() += 1
                    }
                    None => changes.live.extend(differing.iter().map(|key| format!("{} changed", key.path))),
                }
            }
            changes.restart.extend(waiting);
        }
        let counted = counts.into_iter().map(|((table, verb), count)| {
            let noun = if count == 1 { table.trim_end_matches('s') } else { table };
            format!("{count} {noun} {verb}")
        });
        changes.live.extend(counted);
        changes.live.extend(reordered(&before, &after).map(|table| format!("{table} in another order")));
        changes.restart.sort_unstable();
        changes.restart.dedup();
        changes
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.live.as_slice() {
            [] => f.write_str("nothing changed")?,
            live => f.write_str(&live.join(", "))?,
        }
        if !self.restart.is_empty() {
            write!(f, "; needs a restart: {}", self.restart.join(", "))?;
        }
        Ok(())
    }
}

/// What changes together: a key of its own, or one entry of a table or list that the user fills.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    /// The table or list, `bots` or `numbers`.
    table: Option<&'static str>,
    /// The key's path, the entry's name, or the value of its first key.
    name: String,
    /// Entries before it that have the same name.
    before: usize,
}

/// The keys of each [`Name`], in the order of the file.
#[derive(Default)]
struct Settings<'a> {
    order: Vec<Name>,
    keys: BTreeMap<Name, BTreeMap<&'static str, &'a ShownKey>>,
}

impl<'a> Settings<'a> {
    fn of(shown: &'a [ShownKey]) -> Self {
        let mut settings = Self::default();
        let mut entries: BTreeMap<String, Name> = BTreeMap::new();
        for key in shown {
            let Some((entry, table)) = key.entry() else {
                settings.add(Name { table: None, name: key.pattern.to_owned(), before: 0 }, key);
                continue;
            };
            let name = match entries.get(&entry) {
                Some(name) => name.clone(),
                None => {
                    let name = match table.strip_suffix("[]") {
                        Some(list) => settings.item(list, shown, &entry),
                        None => Name { table: Some(table), name: entry.clone(), before: 0 },
                    };
                    entries.insert(entry, name.clone());
                    name
                }
            };
            settings.add(name, key);
        }
        settings
    }

    fn item(&self, list: &'static str, shown: &[ShownKey], entry: &str) -> Name {
        let first_key = keys::children(&format!("{list}[]")).first().copied().unwrap_or_default();
        let naming = shown.iter().find(|key| key.section == entry && key.name == first_key);
        let name = naming.map_or_else(String::new, |key| key.exact.expose().to_owned());
        let same = self.order.iter().filter(|other| other.table == Some(list) && other.name == name);
        Name { table: Some(list), before: same.count(), name }
    }

    fn add(&mut self, name: Name, key: &'a ShownKey) {
        if !self.keys.contains_key(&name) {
            self.order.push(name.clone());
        }
        self.keys.entry(name).or_default().insert(key.pattern, key);
    }
}

type Keys<'a> = BTreeMap<&'static str, &'a ShownKey>;

/// The declarations of the keys whose values are not the same.
fn differing(old: Option<&Keys<'_>>, new: Option<&Keys<'_>>) -> Vec<&'static keys::Declaration> {
    let value = |keys: Option<&Keys<'_>>, path: &str| {
        keys.and_then(|keys| keys.get(path).map(|key| key.exact.clone()))
    };
    keys::KEYS.iter().filter(|key| value(old, key.path) != value(new, key.path)).collect()
}

fn verb(was_there: bool, is_there: bool) -> &'static str {
    match (was_there, is_there) {
        (false, _) => "added",
        (true, true) => "changed",
        (true, false) => "removed",
    }
}

/// The lists whose common entries stand in another order, where the first match wins.
fn reordered<'a>(
    before: &'a Settings<'_>,
    after: &'a Settings<'_>,
) -> impl Iterator<Item = &'static str> + 'a {
    fn common<'b>(list: &'static str, own: &'b Settings<'_>, other: &Settings<'_>) -> Vec<&'b Name> {
        let of_list = own.order.iter().filter(|name| name.table == Some(list));
        of_list.filter(|name| other.keys.contains_key(name)).collect()
    }
    let ordered = ["numbers"].into_iter();
    ordered.filter(|list| common(list, before, after) != common(list, after, before))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Source};
    use super::*;

    fn between(before: &str, after: &str) -> String {
        let shown = |text: &str| {
            let environment = super::super::Environment::default();
            let folder = std::path::Path::new(".");
            Source { text, name: "c.toml", folder, environment: &environment }.load().unwrap().shown
        };
        assert!(Config::parse(after).is_ok());
        Changes::between(&shown(before), &shown(after)).to_string()
    }

    const BOT: &str = "[bots.a]\nurl = \"ws://h/\"\ndialect = \"smartpbx\"\n";

    #[test]
    fn a_change_is_told_by_key_or_by_count_and_never_by_value() {
        let token = |token: &str| format!("[http]\nws_token = \"{token}\"\n");
        assert_eq!(between(&token("one"), &token("two")), "http.ws_token changed");
        assert_eq!(between(BOT, &BOT.replace("ws://h/", "ws://g/")), "1 bot changed");
        let headers = |value: &str| format!("{BOT}headers = {{ Authorization = \"{value}\" }}\n");
        assert_eq!(between(&headers("x"), &headers("y")), "1 bot changed");
        assert_eq!(between(BOT, &BOT.replace("bots.a", "\"bots\".\"a.b\"")), "1 bot added, 1 bot removed");
        let numbers = "[[numbers]]\nnumber = \"5551\"\nbot = \"echo\"\n[[numbers]]\nnumber = \"5552\"\nbot = \"tone\"\n";
        assert_eq!(between("", numbers), "2 numbers added");
        assert_eq!(between(numbers, ""), "2 numbers removed");
        assert_eq!(between(BOT, BOT), "nothing changed");
    }

    #[test]
    fn a_number_put_in_front_changes_no_other_and_a_new_order_is_told() {
        let number = |number: &str| format!("[[numbers]]\nnumber = \"{number}\"\nbot = \"echo\"\n");
        let (one, two) = (number("5551"), number("5552"));
        assert_eq!(between(&one, &format!("{two}{one}")), "1 number added");
        assert_eq!(between(&format!("{one}{two}"), &format!("{two}{one}")), "numbers in another order");
    }

    #[test]
    fn what_waits_for_a_restart_is_named_and_not_counted_as_changed() {
        assert_eq!(
            between(BOT, "[sip]\nrtp_ports = \"30000-30099\"\n[log]\nformat = \"json\"\n"),
            "1 bot removed; needs a restart: log.format, sip.rtp_ports"
        );
        let listener = "[[listeners]]\nlisten = \"127.0.0.1:4143\"\ndialect = \"smartpbx\"\nbot = \"echo\"\n";
        assert_eq!(between("", listener), "nothing changed; needs a restart: listeners[].listen");
        assert_eq!(between(listener, &listener.replace("echo", "tone")), "1 listener changed");
    }
}
