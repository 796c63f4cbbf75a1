//! What a caller keys in while something is asked: one key of a menu, or the digits of a number.

use crate::vocabulary::Digit;

use super::{Ask, Gather, Menu, Target};

/// Something that a step asks for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Question<'a> {
    /// One key.
    Key(&'a Menu),
    /// Several digits.
    Digits(&'a Gather),
}

/// What a key, or waiting in vain for one, leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    /// More may come.
    More,
    /// The menu leads there.
    Chosen(&'a Target),
    /// The digits are complete.
    Complete,
    /// That is no answer.
    Wrong,
}

impl<'a> Question<'a> {
    /// How it is asked.
    pub(super) fn ask(self) -> &'a Ask {
        match self {
            Self::Key(menu) => &menu.ask,
            Self::Digits(gather) => &gather.ask,
        }
    }

    /// Where a caller goes who does not answer it.
    pub(super) fn otherwise(self) -> &'a Target {
        match self {
            Self::Key(menu) => &menu.otherwise,
            Self::Digits(gather) => &gather.otherwise,
        }
    }

    /// A key was pressed; `keyed` holds what was keyed in before and takes it in.
    pub(super) fn press(self, key: Digit, keyed: &mut String) -> Reply<'a> {
        match self {
            Self::Key(menu) => {
                let found = menu.keys.iter().find(|(own, _)| *own == key);
                found.map_or(Reply::Wrong, |(_, target)| Reply::Chosen(target))
            }
            Self::Digits(gather) if gather.terminator == Some(key) => gather.judge(keyed),
            Self::Digits(gather) => {
                match key.as_char() {
                    digit if digit.is_ascii_digit() => keyed.push(digit),
                    // Whoever went astray begins anew.
                    _ => keyed.clear(),
                }
                if keyed.len() >= gather.max { Reply::Complete } else { Reply::More }
            }
        }
    }

    /// No key came in time.
    pub(super) fn wait_in_vain(self, keyed: &str) -> Reply<'a> {
        match self {
            Self::Key(_) => Reply::Wrong,
            Self::Digits(gather) => gather.judge(keyed),
        }
    }
}

impl Gather {
    fn judge(&self, keyed: &str) -> Reply<'static> {
        if (self.min..=self.max).contains(&keyed.len()) { Reply::Complete } else { Reply::Wrong }
    }
}
