//! Rules about what is written down: dialect folders, limits, links.

use super::Rule;
use super::source::{Finding, SourceFile, Tree, root};
use super::walls::folder;

pub const RULES: &[Rule] = &[
    Rule {
        name: "a dialect's folder is complete",
        check: dialect_folders,
        bad: &[("crates/core/src/dialect/one/wire.rs", "//! A.\n", 1)],
        good: &[
            ("crates/core/src/dialect/one/wire.rs", "//! A.\n"),
            ("crates/core/src/dialect/one/mod.rs", "//! A.\n"),
            ("crates/core/src/dialect/one/README.md", "One.\n"),
            ("crates/core/src/dialect/one/talks/a.talk", "# A.\n"),
            ("crates/core/src/dialect/json.rs", "//! A.\n"),
            ("crates/core/src/dialect/envelope/mod.rs", "//! A.\n"),
        ],
    },
    Rule {
        name: "every limit stands in docs/limits.md with its value",
        check: limits,
        bad: &[
            ("crates/core/src/a.rs", "//! A.\npub const QUEUE_MAX: usize = 64;\n", 2),
            ("docs/limits.md", "| `crates/core/src/a.rs::GONE_MAX` | `64` | frames | dropped |\n", 1),
            (
                "docs/limits.md",
                "| limit | value |\n| `crates/core/src/a.rs::QUEUE_MAX` | `64` | frames | |\n",
                2,
            ),
        ],
        good: &[
            (
                "crates/core/src/a.rs",
                "//! A.\npub const QUEUE_MAX: usize = 64;\nconst TWIST_MAX: f32 = 6.3;\n",
            ),
            (
                "docs/limits.md",
                "| limit | value |\n| `crates/core/src/a.rs::QUEUE_MAX` | `64` | frames | dropped |\n",
            ),
        ],
    },
    Rule {
        name: "a link leads somewhere",
        check: links,
        bad: &[
            ("docs/a.md", "See [b](nowhere.md).\n", 1),
            ("docs/a.md", "# Title\n\nSee [b](#no-such-heading).\n", 3),
        ],
        good: &[
            (
                "docs/a.md",
                "# A title, `code`!\n\n[b](b.md) [c](#a-title-code) [d](https://example.com) `[x](y)`\n",
            ),
            ("docs/b.md", "[a](../docs/a.md#a-title-code)\n```\n[x](y)\n```\n"),
        ],
    },
];

fn dialect_folders(tree: &Tree) -> Vec<Finding> {
    let mut folders: Vec<&str> = tree.files.iter().filter_map(folder).collect();
    folders.dedup();
    let mut found = Vec::new();
    for folder in folders {
        let prefix = format!("crates/core/src/dialect/{folder}/");
        let files: Vec<_> = tree.files.iter().filter(|file| file.path.starts_with(&prefix)).collect();
        let Some(first) = files.first() else { continue };
        for needed in ["README.md", "mod.rs", "wire.rs"] {
            if !files.iter().any(|file| file.path == format!("{prefix}{needed}")) {
                found.push(first.finding(1, format!("{folder} has no {needed}")));
            }
        }
        if !files
            .iter()
            .any(|file| file.path.starts_with(&format!("{prefix}talks/")) && file.path.ends_with(".talk"))
        {
            found.push(first.finding(1, format!("{folder} has no talk")));
        }
    }
    found
}

/// A bound in the code.
struct Limit<'a> {
    file: &'a SourceFile,
    line: usize,
    name: String,
    value: String,
}

impl Limit<'_> {
    /// How the table names it: the file's path and the constant.
    fn path(&self) -> String {
        format!("{}::{}", self.file.path, self.name)
    }
}

fn limits(tree: &Tree) -> Vec<Finding> {
    let in_code = limits_in_code(tree);
    let table = tree.find("docs/limits.md");
    let rows: Vec<_> = table.iter().flat_map(|table| limit_rows(table)).collect();
    let mut found = Vec::new();
    for limit in &in_code {
        let path = limit.path();
        match rows.iter().find(|(_, row, _)| *row == path) {
            None => found.push(
                limit.file.finding(limit.line, format!("`{path}` has no row (value `{}`)", limit.value)),
            ),
            Some((line, _, value)) if *value != limit.value => {
                let what = format!("`{path}` is `{}`, the row says `{value}`", limit.value);
                found.extend(table.map(|table| table.finding(*line, what)));
            }
            Some(_) => {}
        }
    }
    found.extend(table.iter().flat_map(|table| incomplete_rows(table)));
    for (line, row, _) in rows {
        if !in_code.iter().any(|limit| limit.path() == row) {
            found.extend(table.map(|table| table.finding(line, format!("no constant `{row}`"))));
        }
    }
    found
}

/// The constants named `…_MAX` that ship, but for thresholds of signals (floating point).
fn limits_in_code(tree: &Tree) -> Vec<Limit<'_>> {
    let mut found = Vec::new();
    for file in tree.rust("crates/").filter(|file| file.path.contains("/src/")) {
        for (line, code) in file.code_lines().filter(|(line, _)| !file.is_test(*line)) {
            let Some((_, declaration)) = code.split_once("const ") else { continue };
            let Some((name, rest)) = declaration.split_once(':') else { continue };
            let Some((kind, _)) = rest.split_once('=') else { continue };
            if name.ends_with("_MAX") && !matches!(kind.trim(), "f32" | "f64") {
                let after: String = file.text.lines().skip(line - 1).collect::<Vec<_>>().join(" ");
                let value = after
                    .split_once('=')
                    .map_or("", |(_, value)| value.split(';').next().unwrap_or_default());
                let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
                found.push(Limit { file, line, name: name.trim().to_owned(), value });
            }
        }
    }
    found
}

/// The rows of the table of limits: line, path and value.
fn limit_rows(table: &SourceFile) -> Vec<(usize, String, String)> {
    let rows = table.text.lines().enumerate();
    rows.filter_map(|(index, line)| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let path = cells.next()?.trim_end_matches('`');
        let value = cells.next()?.trim().trim_matches('`');
        path.contains("::").then(|| (index + 1, path.to_owned(), value.to_owned()))
    })
    .collect()
}

/// The rows that leave open what is bounded, or what happens then.
fn incomplete_rows(table: &SourceFile) -> Vec<Finding> {
    let rows = table.text.lines().enumerate().filter(|(_, line)| line.starts_with("| `"));
    let incomplete = rows.filter(|(_, line)| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        cells.len() != 6 || cells[1..5].iter().any(|cell| cell.len() < 2)
    });
    incomplete
        .map(|(index, _)| table.finding(index + 1, "a row says what it bounds, and what then"))
        .collect()
}

fn links(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        let mut fenced = false;
        for (index, line) in file.text.lines().enumerate() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if fenced {
                continue;
            }
            for target in link_targets(line) {
                if !leads_somewhere(tree, file, &target) {
                    found.push(file.finding(index + 1, target));
                }
            }
        }
    }
    found
}

/// The targets of the links in a line, code left out.
fn link_targets(line: &str) -> Vec<String> {
    let plain: String = line.split('`').step_by(2).collect::<Vec<_>>().join(" ");
    let parts = plain.split("](").skip(1);
    parts.filter_map(|part| part.split_once(')').map(|(target, _)| target.to_owned())).collect()
}

fn leads_somewhere(tree: &Tree, file: &SourceFile, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let (path, heading) = target.split_once('#').unwrap_or((target, ""));
    let full = if path.is_empty() { file.path.clone() } else { resolve(&file.path, path) };
    match tree.find(&full) {
        Some(other) => heading.is_empty() || headings(other).iter().any(|anchor| anchor == heading),
        None => heading.is_empty() && !full.is_empty() && tree.files.len() > 2 && root().join(&full).exists(),
    }
}

/// The path from the root that `link` in the file at `from` means.
fn resolve(from: &str, link: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchors of a file's headings.
fn headings(file: &SourceFile) -> Vec<String> {
    let lines = file.text.lines().filter(|line| line.starts_with('#'));
    lines
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect()
        })
        .collect()
}
