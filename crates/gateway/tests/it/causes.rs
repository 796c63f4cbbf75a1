//! docs/causes.md is made from the table of reasons: their meaning from its source, the rest from what it compiles to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use patchcord_core::vocabulary::{Cause, REASONS};

#[test]
fn the_page_of_causes_is_the_table_of_reasons() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let meanings =
        meanings(&std::fs::read_to_string(root.join("crates/core/src/vocabulary/cause.rs")).unwrap());
    let mut expected = INTRODUCTION.to_owned();
    for row in &REASONS {
        let meaning = &meanings[&format!("{:?}", row.reason)];
        let (cause, status) = (Cause::new(row.reason), Cause::new(row.reason).outcome(false).word());
        writeln!(
            expected,
            "| `{cause}` | {meaning} | {by} | {status} | {q850} {text} | {sip} | {smartpbx} | {disposition} |",
            by = row.by.word(),
            q850 = row.q850,
            text = row.q850_text,
            sip = row.sip_status,
            smartpbx = row.smartpbx,
            disposition = row.disposition,
        )
        .unwrap();
    }
    let path = root.join("docs/causes.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/causes.md differs from the table of reasons: run the test with UPDATE=1"
    );
}

/// What stands above each variant of `Reason` in its source.
fn meanings(source: &str) -> BTreeMap<String, String> {
    let body = source.split_once("pub enum Reason {").unwrap().1.split_once("\n}").unwrap().0;
    let mut above = Vec::new();
    let mut found = BTreeMap::new();
    for line in body.lines().map(str::trim) {
        match line.strip_prefix("/// ") {
            Some(words) => above.push(words),
            None if line.ends_with(',') => {
                found.insert(line.trim_end_matches(',').to_owned(), above.join(" ").replace('|', "\\|"));
                above.clear();
            }
            None => {}
        }
    }
    found
}

const INTRODUCTION: &str = "\
# Why a call ended

Every call ends in exactly one of these, its cause: `class/reason` in logs, `cause` in [records](records.md), `hangup_reason` in
[callbacks](callbacks.md). The class says who has to look into it: nobody (`completed`), the `caller`, the `bot`, who is between
the phone and us (`upstream`), or `us`. A call that was answered is `completed` however it ends, except `us/restart`, which is
`failed`; the status, the SIP status and the disposition of this table are those of a call that was not.

`smartpbx` is what a bot of that dialect reads in `hangup`, `disposition` what one of incoming-call reads in `cdr`.

| cause | what happened | ended by | unanswered, it is | Q.850 | SIP | `smartpbx` | `disposition` |
|---|---|---|---|---|---|---|---|
";
