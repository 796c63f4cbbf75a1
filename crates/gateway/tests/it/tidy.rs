//! The rules of the house as a test: shape of files, walls between modules, habits, papers.
//!
//! A rule is a row with a bad sample that it must find and a good one that it must pass, so that no rule can
//! go blind. Rules read text, not types: they are right for this tree, not for all of Rust.

mod habits;
mod papers;
mod shape;
mod source;
mod walls;

use source::{Finding, Tree};

/// One rule.
struct Rule {
    /// What it demands, as a sentence.
    name: &'static str,
    /// Finds what breaks it.
    check: fn(&Tree) -> Vec<Finding>,
    /// Files that break it, each with the line that must be found.
    bad: &'static [(&'static str, &'static str, usize)],
    /// Files that keep it, closely.
    good: &'static [(&'static str, &'static str)],
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    shape::RULES.iter().chain(walls::RULES).chain(habits::RULES).chain(papers::RULES)
}

#[test]
fn the_tree_keeps_the_rules_of_the_house() {
    let tree = Tree::of_repository();
    assert!(tree.files.len() > 50, "only {} files found: is this the repository?", tree.files.len());
    let mut complaint = String::new();
    for rule in rules() {
        for Finding { path, line, what } in (rule.check)(&tree) {
            complaint.push_str(&format!("{path}:{line}: {}: {what}\n", rule.name));
        }
    }
    assert!(complaint.is_empty(), "\n{complaint}");
}

#[test]
fn every_rule_finds_its_bad_samples_and_passes_its_good_ones() {
    for rule in rules() {
        assert!(!rule.bad.is_empty() && !rule.good.is_empty(), "{} has no samples", rule.name);
        for (path, text, line) in rule.bad {
            let found = (rule.check)(&Tree::of(&[(*path, *text)]));
            let right = found.iter().any(|finding| finding.path == *path && finding.line == *line);
            assert!(right, "\"{}\" does not find line {line} of {path}, but {found:?}:\n{text}", rule.name);
        }
        let found = (rule.check)(&Tree::of(rule.good));
        assert!(found.is_empty(), "\"{}\" complains about a good sample: {found:?}", rule.name);
    }
}
