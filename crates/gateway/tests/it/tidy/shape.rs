//! Rules about the shape of a file: length, module doc, names.

use super::Rule;
use super::source::{Finding, Tree, line_of};

pub const RULES: &[Rule] = &[
    Rule {
        name: "a file has at most 500 lines",
        check: file_length,
        bad: &[("crates/core/src/a.rs", LINES_501, 501)],
        good: &[("crates/core/src/a.rs", "//! Short.\n")],
    },
    Rule {
        name: "a function has at most 70 lines",
        check: function_length,
        bad: &[("crates/core/src/a.rs", FUNCTION_72, 2)],
        good: &[(
            "crates/core/src/a.rs",
            "//! A.\ntrait T {\n    fn declared(&self, a: [u8; 2]);\n}\nfn f() {}\n",
        )],
    },
    Rule {
        name: "a file begins with a module doc of at most 15 lines",
        check: module_doc,
        bad: &[
            ("crates/core/src/a.rs", "use std::fmt;\n", 1),
            ("crates/core/src/b.rs", "// Not a doc.\n//! Too late.\n", 1),
            (
                "crates/core/src/c.rs",
                "//! 1\n//! 2\n//!\n//!\n//!\n//!\n//!\n//!\n//!\n//!\n//!\n//!\n//!\n//!\n//!\n//! 16\n",
                16,
            ),
        ],
        good: &[("crates/core/src/a.rs", "//! What it is.\n\nuse std::fmt;\n"), ("fuzz/x.py", "import os\n")],
    },
    Rule {
        name: "a name says what a thing is",
        check: names,
        bad: &[
            ("crates/core/src/a.rs", "//! A.\npub struct CallManager;\n", 2),
            ("crates/core/src/a.rs", "//! A.\nenum MediaData {}\n", 2),
            ("crates/core/src/a.rs", "//! A.\ntype SipContext = u8;\n", 2),
            ("crates/core/src/call_utils.rs", "//! A.\n", 1),
            ("crates/core/src/common/mod.rs", "//! A.\n", 1),
            ("crates/core/src/a.rs", "//! A.\nimpl A {\n    pub fn get_name(&self) {}\n}\n", 3),
        ],
        good: &[(
            "crates/core/src/database.rs",
            "//! A.\nstruct Metadata;\nstruct Baseline;\nfn forget_name() {}\nfn target_name() {}\n",
        )],
    },
];

macro_rules! ten {
    ($line:expr) => {
        concat!($line, $line, $line, $line, $line, $line, $line, $line, $line, $line)
    };
}

const LINES_501: &str = concat!(
    "//! Long.\n",
    ten!(ten!("const A: u8 = 0;\n")),
    ten!(ten!("const A: u8 = 0;\n")),
    ten!(ten!("const A: u8 = 0;\n")),
    ten!(ten!("const A: u8 = 0;\n")),
    ten!(ten!("const A: u8 = 0;\n")),
);
/// `fn f() {`, 70 lines and `}`.
const FUNCTION_72: &str =
    concat!("//! Long.\nfn f() {\n", ten!("g();\ng();\ng();\ng();\ng();\ng();\ng();\n"), "}\n");

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const DOC_LINES_MAX: usize = 15;

fn file_length(tree: &Tree) -> Vec<Finding> {
    let files = tree.rust("").map(|file| (file, file.text.lines().count()));
    let long = files.filter(|(_, lines)| *lines > FILE_LINES_MAX);
    long.map(|(file, lines)| file.finding(lines, format!("{lines} lines"))).collect()
}

fn function_length(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust("") {
        for (at, _) in file.code.match_indices("fn ") {
            let before = file.code[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
                continue;
            }
            let Some(lines) = file.block(at) else { continue };
            let count = lines.end() - lines.start() + 1;
            if count > FUNCTION_LINES_MAX {
                let name = file.code[at + 3..].split(['(', '<']).next().unwrap_or_default();
                found.push(file.finding(*lines.start(), format!("{name} has {count} lines")));
            }
        }
    }
    found
}

fn module_doc(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust("") {
        let doc = file.text.lines().take_while(|line| line.starts_with("//!")).count();
        if doc == 0 {
            found.push(file.finding(1, "there is none"));
        } else if doc > DOC_LINES_MAX {
            found.push(file.finding(doc, format!("{doc} lines")));
        }
    }
    found
}

fn names(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust("") {
        let inner = file.path.split_once("/src/").map_or(file.path.as_str(), |(_, inner)| inner);
        let words = inner.trim_end_matches(".rs").split(['/', '_']);
        if let Some(word) =
            words.map(str::to_lowercase).find(|word| is_empty_word(word.trim_end_matches('s')))
        {
            found.push(file.finding(1, format!("\"{word}\" in the name of the file")));
        }
        for keyword in ["struct ", "enum ", "trait ", "type "] {
            for (at, _) in file.code.match_indices(keyword) {
                let name: String =
                    file.code[at + keyword.len()..].chars().take_while(|c| c.is_alphanumeric()).collect();
                if file.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                    continue;
                }
                if let Some(word) =
                    camel_words(&name).into_iter().find(|word| is_empty_word(&word.to_lowercase()))
                {
                    found.push(file.finding(line_of(&file.code, at), format!("\"{word}\" in {name}")));
                }
            }
        }
        for (line, code) in file.code_lines().filter(|(_, code)| code.contains("fn get_")) {
            found.push(file.finding(line, code.trim()));
        }
    }
    found
}

/// Whether a word in a name says nothing.
fn is_empty_word(word: &str) -> bool {
    let empty = [
        "manager",
        "handler",
        "service",
        "helper",
        "util",
        "common",
        "processor",
        "context",
        "data",
        "base",
        "impl",
    ];
    empty.contains(&word)
}

fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for character in name.chars() {
        match words.last_mut() {
            Some(word) if !character.is_uppercase() => word.push(character),
            _ => words.push(character.to_string()),
        }
    }
    words
}
