//! The worked configurations of `examples/`, with the addresses of a test in the place of their own.

use std::path::Path;

use toml::{Table, Value};

/// The one bot of an example as `[bots.NAME]` at `url`; `changes` are made in its text before, word by word.
pub fn bot(file: &str, name: &str, url: &str, changes: &[(&str, &str)]) -> String {
    let mut bot = only_bot(file, changes);
    bot.insert("url".to_owned(), url.into());
    let bots = Table::from_iter([(name.to_owned(), Value::Table(bot))]);
    toml::to_string(&Table::from_iter([("bots".to_owned(), Value::Table(bots))])).unwrap()
}

/// A port for a vendor that speaks as the one bot of an example is spoken to.
pub fn listener(file: &str, bot: &str) -> String {
    let mut listener = only_bot(file, &[]);
    listener.retain(|key, _| matches!(key, "dialect" | "audio" | "mapping"));
    listener.insert("listen".to_owned(), "127.0.0.1:0".into());
    listener.insert("bot".to_owned(), bot.into());
    let listeners = Value::Array(vec![Value::Table(listener)]);
    toml::to_string(&Table::from_iter([("listeners".to_owned(), listeners)])).unwrap()
}

fn only_bot(file: &str, changes: &[(&str, &str)]) -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(file);
    let text = std::fs::read_to_string(path).unwrap();
    let text = changes.iter().fold(text, |text, (from, to)| text.replace(from, to));
    let mut example: Table = text.parse().unwrap();
    let Some(Value::Table(bots)) = example.remove("bots") else { panic!("{file} has no bot") };
    let Some((_, Value::Table(bot))) = bots.into_iter().next() else { panic!("{file} has no bot") };
    bot
}
