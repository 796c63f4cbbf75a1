//! `docs/requirements.md` against the tree: every line of the seeds has a row, every proof exists.
//!
//! A proof that is a talk must hold the row's example message, if the row quotes one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A row of the table.
struct Row {
    seed: String,
    first: usize,
    last: usize,
    quote: String,
    proofs: Proofs,
}

enum Proofs {
    Open(String),
    Names(Vec<String>),
}

#[test]
fn every_line_of_the_seeds_has_a_row_that_quotes_it() {
    let rows = rows(&document());
    let inventory = read("docs/requirements/inventory.txt");
    let mut complaint = String::new();
    for line in inventory.lines() {
        let (key, text) = line.split_once(' ').expect("key and text");
        let (seed, number) = key.split_once(':').expect("seed and line");
        let number: usize = number.parse().expect("a line number");
        let mut owners =
            rows.iter().filter(|row| row.seed == seed && (row.first..=row.last).contains(&number));
        match (owners.next(), owners.next()) {
            (None, _) => complaint.push_str(&format!("{key} has no row: {text}\n")),
            (Some(_), Some(_)) => complaint.push_str(&format!("{key} has two rows\n")),
            (Some(row), None) if !row.quote.contains(text) => {
                complaint.push_str(&format!("the row of {key} does not quote it: {text}\n"));
            }
            (Some(_), None) => {}
        }
    }
    assert!(complaint.is_empty(), "\n{complaint}");
}

#[test]
fn every_proof_is_a_test_that_exists() {
    let tests = Tests::find();
    let mut complaint = String::new();
    for row in rows(&document()) {
        let Proofs::Names(names) = &row.proofs else { continue };
        for name in names {
            if !tests.know(name) {
                complaint.push_str(&format!("{}:{}: no such test: {name}\n", row.seed, row.first));
            }
        }
    }
    assert!(complaint.is_empty(), "\n{complaint}");
}

#[test]
fn every_example_message_stands_in_a_talk_that_proves_it() {
    let mut complaint = String::new();
    let mut examples = 0;
    for row in rows(&document()) {
        let (Proofs::Names(names), Some(example)) = (&row.proofs, example(&row.quote)) else { continue };
        let talks: Vec<_> = names.iter().filter_map(|name| talk_path(name)).collect();
        if talks.is_empty() {
            continue;
        }
        examples += 1;
        let messages = talks.iter().flat_map(|path| messages(&read(path.to_str().expect("a path of ours"))));
        if !messages.into_iter().any(|message| holds(&message, &example)) {
            complaint.push_str(&format!("{}:{}: in none of its talks: {example}\n", row.seed, row.first));
        }
    }
    assert!(complaint.is_empty(), "\n{complaint}");
    assert!(examples > 20, "only {examples} examples found: are they still read?");
}

#[test]
fn the_numbers_of_proven_and_open_rows_are_told_and_right() {
    let document = document();
    let (mut proven, mut open) = (0, 0);
    for row in rows(&document) {
        match row.proofs {
            Proofs::Names(_) => proven += 1,
            Proofs::Open(reason) => {
                open += 1;
                assert!(reason.len() > 10, "{}:{} is open without a reason", row.seed, row.first);
            }
        }
    }
    eprintln!("requirements: {proven} rows proven, {open} open");
    let sentence = format!("Proven rows: {proven}. Open rows: {open}.");
    assert!(document.contains(&sentence), "docs/requirements.md should say \"{sentence}\"");
}

#[test]
fn the_checks_find_what_they_look_for() {
    let good = rows(
        "| 000:1-2 | `a \\| b` | `core::x::y`, `talk:z/w` |\n| 001:3 | `` `c` `` | open: not yet here |\n",
    );
    assert_eq!((good[0].first, good[0].last, good[0].quote.as_str()), (1, 2, "a | b"));
    assert!(matches!(&good[0].proofs, Proofs::Names(names) if names == &["core::x::y", "talk:z/w"]));
    assert_eq!(good[1].quote, "`c`");
    assert!(matches!(&good[1].proofs, Proofs::Open(reason) if reason == "not yet here"));
    let tests = Tests::find();
    assert!(tests.know("gateway::it::requirements::the_checks_find_what_they_look_for"));
    assert!(!tests.know("gateway::it::requirements::rows"), "a function that is no test");
    assert!(!tests.know("gateway::it::config::the_checks_find_what_they_look_for"), "another file");
    assert!(!tests.know("talk:smartpbx/no_such_talk"));
    let example =
        example("- Server sends `{ \"event\": \"dtmf\", \"digit\": \"1\", \"duration\": 200 }`").unwrap();
    let message = messages(
        "   wire <   {\"event\":\"dtmf\",\"digit\":\"1\",\"duration\":200,\"more\":[<samples x>]}\n",
    );
    assert!(holds(&message[0], &example));
    for other in ["{\"event\":\"dtmf\",\"digit\":\"1\"}", "{\"event\":\"dtmf\",\"digit\":1,\"duration\":200}"]
    {
        assert!(!holds(&messages(&format!("wire < {other}"))[0], &example), "{other}");
    }
}

/// The tests of the workspace: for each path of modules the names in it.
struct Tests(BTreeMap<String, Vec<String>>);

impl Tests {
    fn find() -> Tests {
        let mut tests = BTreeMap::new();
        for name in ["core", "sip", "gateway", "testkit"] {
            let folder = root().join("crates").join(name);
            collect(&folder.join("src"), name, &mut tests);
            collect(&folder.join("tests/it"), &format!("{name}::it"), &mut tests);
        }
        Tests(tests)
    }

    fn know(&self, name: &str) -> bool {
        if name.starts_with("talk:") {
            return talk_path(name).is_some_and(|path| root().join(path).is_file());
        }
        let Some((path, test)) = name.rsplit_once("::") else { return false };
        let inner = path.strip_suffix("::tests").unwrap_or(path);
        [path, inner]
            .iter()
            .any(|path| self.0.get(*path).is_some_and(|names| names.iter().any(|name| name == test)))
    }
}

fn collect(folder: &Path, path: &str, tests: &mut BTreeMap<String, Vec<String>>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (file, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let stem = name.trim_end_matches(".rs");
        let inner =
            if matches!(stem, "mod" | "lib" | "main") { path.to_owned() } else { format!("{path}::{stem}") };
        if file.is_dir() {
            collect(&file, &inner, tests);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&file).expect("a source file");
            tests.entry(inner).or_default().extend(test_names(&text));
        }
    }
}

/// The functions under a `#[test]` or `#[…::test…]`, also those of `proptest!`.
fn test_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        } else if marked && !line.starts_with('#') && !line.starts_with("//") {
            let name =
                line.split_once("fn ").map(|(_, rest)| rest.split(['(', '<']).next().unwrap_or_default());
            names.extend(name.map(str::to_owned));
            marked = false;
        }
    }
    names
}

/// The file of `talk:dialect/name`, from the root.
fn talk_path(proof: &str) -> Option<PathBuf> {
    let (dialect, name) = proof.strip_prefix("talk:")?.split_once('/')?;
    let folder = dialect.replace('-', "_");
    Some(PathBuf::from(format!("crates/core/src/dialect/{folder}/talks/{name}.talk")))
}

/// The JSON messages of a talk; sounds that are written by name become empty.
fn messages(talk: &str) -> Vec<Value> {
    let lines = talk.lines().filter(|line| line.contains("wire >") || line.contains("wire <"));
    let texts = lines.filter_map(|line| line.find('{').map(|start| line[start..].to_owned()));
    texts
        .filter_map(|text| {
            let mut plain = text;
            while let Some((before, rest)) = plain.split_once("[<") {
                let (_, after) = rest.split_once(">]")?;
                plain = format!("{before}[]{after}");
            }
            serde_json::from_str(&plain).ok()
        })
        .collect()
}

/// The JSON object that a quote holds, if it is one.
fn example(quote: &str) -> Option<Value> {
    let text = quote.get(quote.find('{')?..=quote.rfind('}')?)?;
    serde_json::from_str(text).ok()
}

/// Whether `message` has everything of `example`: the same fields, kinds and values, placeholders and ids aside.
fn holds(message: &Value, example: &Value) -> bool {
    match (message, example) {
        (Value::Object(fields), Value::Object(expected)) => expected.iter().all(|(key, value)| {
            let found = fields.get(key);
            match FREE.contains(&key.as_str()) {
                true => found.is_some(),
                false => found.is_some_and(|found| holds(found, value)),
            }
        }),
        (Value::String(_), Value::String(text)) if text == "string" || text.contains("...") => true,
        _ => message == example,
    }
}

/// Fields whose values stand for any: sounds and the call's own id.
const FREE: &[&str] = &["payload", "delta", "samples", "ucid"];

fn rows(document: &str) -> Vec<Row> {
    let lines = document.lines().filter(|line| {
        line.strip_prefix("| ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    lines.map(row).collect()
}

fn row(line: &str) -> Row {
    // A bar inside a cell is written `\|`.
    let line = line.replace("\\|", "\u{1}");
    let cells: Vec<String> = line.split('|').map(|cell| cell.trim().replace('\u{1}', "|")).collect();
    let [_, key, quote, proofs, _] = cells.as_slice() else { panic!("a row has three cells: {line}") };
    let (seed, range) =
        key.split_once(':').unwrap_or_else(|| panic!("a row begins with seed and lines: {line}"));
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let quote = match quote.strip_prefix("`` ") {
        Some(inner) => inner.trim_end_matches(" ``"),
        None => quote.trim_matches('`'),
    };
    let proofs = match proofs.strip_prefix("open: ") {
        Some(reason) => Proofs::Open(reason.to_owned()),
        None => Proofs::Names(proofs.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()),
    };
    let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("no line number: {line}"));
    Row { seed: seed.to_owned(), first: number(first), last: number(last), quote: quote.to_owned(), proofs }
}

fn document() -> String {
    read("docs/requirements.md")
}

fn read(path: &str) -> String {
    let full = root().join(path);
    std::fs::read_to_string(&full).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
