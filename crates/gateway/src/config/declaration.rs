//! What the declaration of one key says; the table of them is `keys`.

/// A key of the file.
#[derive(Debug, Clone, Copy)]
pub struct Declaration {
    /// The path: `[]` for each table of a list, `*` for a name that the user gives.
    pub path: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when it is absent.
    pub default: Default,
    /// One sentence for the documentation.
    pub sentence: &'static str,
    /// Whether its value is masked wherever settings are shown.
    pub secret: bool,
    /// Whether a new value waits for a restart; a reload takes all others.
    pub restart: bool,
    /// The words that it takes, where they are a closed set.
    pub words: &'static [&'static str],
}

impl Declaration {
    /// The same for a key whose new value waits for a restart.
    pub(super) const fn at_restart(self) -> Declaration {
        Declaration { restart: true, ..self }
    }

    /// The same for a key that takes these words only.
    pub(super) const fn one_of(self, words: &'static [&'static str]) -> Declaration {
        Declaration { words, ..self }
    }
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
    /// A whole number.
    Whole,
    /// A number that may have a fraction.
    Number,
    /// A length of time as a string: `250ms`, `30s`, `5m`, `4h`.
    Duration,
    /// A list of strings.
    List,
    /// A table of names to strings.
    Map,
    /// A table of strings and of tables of strings.
    Table,
    /// The steps of a flow: a list of tables.
    Steps,
    /// `true` or `false`, or a table that says more.
    FlagOrTable,
    /// A string, or a table that says more.
    TextOrTable,
    /// A key whose feature this version does not have: using it is an error.
    Later,
}

impl Kind {
    /// The kind in words.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Text => "string",
            Kind::Flag => "true or false",
            Kind::Whole => "whole number",
            Kind::Number => "number",
            Kind::Duration => "duration",
            Kind::List => "list of strings",
            Kind::Map => "table of strings",
            Kind::Table => "table",
            Kind::Steps => "list of steps",
            Kind::FlagOrTable => "true, false or a table",
            Kind::TextOrTable => "string or table",
            Kind::Later => "not in this version",
        }
    }
}

/// What holds when a key is absent.
#[derive(Debug, Clone, Copy)]
pub enum Default {
    /// The key must be there.
    Required,
    /// Nothing; the text says what that means.
    Absent(&'static str),
    /// This value, as TOML.
    Is(&'static str),
}

pub(super) const fn key(
    path: &'static str,
    kind: Kind,
    default: Default,
    sentence: &'static str,
) -> Declaration {
    Declaration { path, kind, default, sentence, secret: false, restart: false, words: &[] }
}

pub(super) const fn secret(
    path: &'static str,
    kind: Kind,
    default: Default,
    sentence: &'static str,
) -> Declaration {
    Declaration { path, kind, default, sentence, secret: true, restart: false, words: &[] }
}

pub(super) const fn later(path: &'static str, sentence: &'static str) -> Declaration {
    Declaration {
        path,
        kind: Kind::Later,
        default: Default::Absent("not in this version"),
        sentence,
        secret: true,
        restart: false,
        words: &[],
    }
}
