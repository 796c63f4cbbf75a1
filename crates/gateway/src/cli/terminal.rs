//! Output of commands: data to stdout, talk to stderr, colour only where someone sees it.

use std::io::{self, IsTerminal, Write};

use crate::config::{Environment, Problems, Refusal};

/// A colour or weight.
#[derive(Debug, Clone, Copy)]
pub enum Ink {
    /// A heading or a name.
    Bold,
    /// Something less important.
    Dim,
    /// Trouble.
    Red,
    /// Advice.
    Green,
    /// A warning.
    Yellow,
}

/// Writes `text` to stdout; a reader that has gone away is no error.
pub fn data(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes a line to stderr.
pub fn talk(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Colours `text` for stderr when it is a terminal and `NO_COLOR` is not set.
pub fn paint(text: &str, ink: Ink) -> String {
    coloured(text, ink, io::stderr().is_terminal())
}

/// Colours `text` for stdout when it is a terminal and `NO_COLOR` is not set.
pub fn paint_data(text: &str, ink: Ink) -> String {
    coloured(text, ink, io::stdout().is_terminal())
}

fn coloured(text: &str, ink: Ink, is_terminal: bool) -> String {
    let plain = Environment::of_process().find("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain || !is_terminal {
        return text.to_owned();
    }
    let code = match ink {
        Ink::Bold => "1",
        Ink::Dim => "2",
        Ink::Red => "31",
        Ink::Green => "32",
        Ink::Yellow => "33",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

/// Tells on stderr why a word of the command line was refused.
pub fn tell_refusal(refusal: &Refusal) {
    talk(&paint(&refusal.what, Ink::Red));
    if let Some(word) = &refusal.did_you_mean {
        talk(&format!("did you mean {}?", paint(&format!("\"{word}\""), Ink::Green)));
    }
    talk(&refusal.cure);
}

/// Tells every problem of a configuration on stderr.
pub fn tell_problems(problems: &Problems) {
    for problem in &problems.0 {
        let key = if problem.key.is_empty() {
            String::new()
        } else {
            format!("  {}", paint(&problem.key, Ink::Bold))
        };
        talk(&format!("{}{key}", paint(&problem.place.to_string(), Ink::Dim)));
        talk(&format!("    {}", paint(&problem.what, Ink::Red)));
        if let Some(word) = &problem.did_you_mean {
            talk(&format!("    did you mean {}?", paint(&format!("\"{word}\""), Ink::Green)));
        }
        if !problem.cure.is_empty() {
            talk(&format!("    {}", problem.cure));
        }
    }
    let count = problems.0.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    talk(&format!("{} {noun}", paint(&count.to_string(), Ink::Bold)));
}
