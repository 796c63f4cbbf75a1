//! The findings of many calls: a table on stderr, and one panic that names everything that was wrong.

use serde_json::Value;

use super::sound::Hearing;

/// What was measured and found in one call.
pub struct Row {
    name: String,
    cells: Vec<String>,
    problems: Vec<String>,
}

impl Row {
    /// A row without findings.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), cells: Vec::new(), problems: Vec::new() }
    }

    /// Adds a cell.
    pub fn cell(&mut self, text: impl Into<String>) {
        self.cells.push(text.into());
    }

    /// Adds a problem unless `good`.
    pub fn expect(&mut self, good: bool, problem: impl Into<String>) {
        if !good {
            self.problems.push(problem.into());
        }
    }

    /// Adds a cell, and a problem unless the audio passed.
    pub fn hearing(&mut self, who: &str, heard: &Hearing) {
        self.cell(format!("{:.4} {:.2} %", heard.correlation(), heard.silent()));
        self.expect(heard.is_good(), format!("{who} did not hear it well: {heard:?}"));
    }

    /// Adds the problems that a peer's verdict names.
    pub fn verdict(&mut self, who: &str, verdict: &Value) {
        let violations = verdict["violations"].as_array().map(Vec::as_slice).unwrap_or_default();
        self.problems.extend(violations.iter().map(|violation| format!("{who}: {violation}")));
        self.expect(verdict["ok"] == true, format!("{who} is not content"));
    }

    /// Adds a cell with the record's cause, and a problem unless it is `cause`.
    pub fn cause(&mut self, record: Result<Value, String>, cause: &str) -> Value {
        match record {
            Ok(record) => {
                let of = |key: &str| record["cause"][key].as_str().unwrap_or("?").to_owned();
                let found = format!("{}/{}", of("class"), of("reason"));
                self.expect(found == cause, format!("the cause is {found}, not {cause}"));
                self.cell(found);
                record
            }
            Err(problem) => {
                self.cell("-");
                self.expect(false, problem);
                Value::Null
            }
        }
    }
}

/// Prints the table, and panics with all problems if there are any.
pub fn conclude(title: &str, head: &[&str], rows: &[Row], log: &str) {
    let mut lines = vec![std::iter::once(title).chain(head.iter().copied()).map(str::to_owned).collect()];
    lines.extend(rows.iter().map(|row| [std::slice::from_ref(&row.name), row.cells.as_slice()].concat()));
    for line in &lines {
        eprintln!("| {} |", line.join(" | "));
    }
    let problems: Vec<String> = rows
        .iter()
        .filter(|row| !row.problems.is_empty())
        .map(|row| format!("{}:\n    {}", row.name, row.problems.join("\n    ")))
        .collect();
    assert!(
        problems.is_empty(),
        "{} of {} calls have problems\n  {}\nthe gateway's last words:\n{log}",
        problems.len(),
        rows.len(),
        problems.join("\n  ")
    );
}
