//! The files of the repository, and Rust text with its comments and strings blanked out.

use std::path::{Path, PathBuf};

/// All text files.
pub struct Tree {
    /// The files, by path.
    pub files: Vec<SourceFile>,
}

/// One text file.
pub struct SourceFile {
    /// The path from the root, with `/`.
    pub path: String,
    /// The text.
    pub text: String,
    /// For Rust: the text with comments, strings and characters replaced by spaces; else the text.
    pub code: String,
    /// For Rust: for each line whether it belongs to a test.
    in_test: Vec<bool>,
}

/// Something that breaks a rule.
#[derive(Debug)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

impl Tree {
    /// The repository that this test was built from, without what is built or fetched.
    pub fn of_repository() -> Tree {
        let root = root();
        let mut paths = Vec::new();
        collect(&root, &mut paths);
        paths.sort();
        let files = paths.iter().filter_map(|path| {
            let text = std::fs::read_to_string(path).ok()?;
            let relative = path.strip_prefix(&root).ok()?.to_string_lossy().replace('\\', "/");
            Some(SourceFile::new(&relative, &text))
        });
        Tree::new(files.collect())
    }

    /// A tree of samples.
    pub fn of(files: &[(&str, &str)]) -> Tree {
        Tree::new(files.iter().map(|(path, text)| SourceFile::new(path, text)).collect())
    }

    /// Marks as tests the files that are modules for tests only.
    fn new(mut files: Vec<SourceFile>) -> Tree {
        let test_files: Vec<String> = files.iter().flat_map(SourceFile::test_modules).collect();
        for file in files.iter_mut().filter(|file| test_files.contains(&file.path)) {
            file.in_test.fill(true);
        }
        Tree { files }
    }

    /// The Rust files under `prefix`.
    pub fn rust<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a SourceFile> {
        self.files.iter().filter(move |file| file.path.starts_with(prefix) && file.is_rust())
    }

    /// The file at `path`.
    pub fn find(&self, path: &str) -> Option<&SourceFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl SourceFile {
    fn new(path: &str, text: &str) -> SourceFile {
        let is_rust = path.ends_with(".rs");
        let code = if is_rust { blank(text) } else { text.to_owned() };
        let whole =
            path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("crates/testkit/");
        let in_test = if whole { vec![true; text.lines().count()] } else { test_lines(&code) };
        SourceFile { path: path.to_owned(), text: text.to_owned(), code, in_test }
    }

    /// Whether this is Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether `line` (from 1) belongs to a test.
    pub fn is_test(&self, line: usize) -> bool {
        self.in_test.get(line - 1).copied().unwrap_or(false)
    }

    /// A finding in this file.
    pub fn finding(&self, line: usize, what: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into() }
    }

    /// The lines of the code, from 1.
    pub fn code_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines on which `word` stands in the code, not as a part of a longer name.
    pub fn lines_with<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code_lines().filter(move |(_, line)| has_word(line, word)).map(|(number, _)| number)
    }

    /// The paths of the modules that this file declares under `#[cfg(test)]`, as files.
    fn test_modules(&self) -> Vec<String> {
        let folder = match self.path.rsplit_once('/') {
            Some((folder, "mod.rs" | "lib.rs" | "main.rs")) => folder,
            _ => self.path.trim_end_matches(".rs"),
        };
        let declarations = self.code.split("#[cfg(test)]").skip(1);
        let names = declarations.filter_map(|rest| rest.trim_start().strip_prefix("mod ")?.split_once(';'));
        names.map(|(name, _)| format!("{folder}/{name}.rs")).collect()
    }

    /// The names of the modules that lead here, from the crate's root.
    pub fn module_path(&self) -> Vec<&str> {
        let inner = self.path.split_once("/src/").map_or("", |(_, inner)| inner).trim_end_matches(".rs");
        inner.split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main" | "")).collect()
    }

    /// The lines of a block that begins with the first `{` at or after byte `start` of the code.
    ///
    /// `None` if a `;` ends the item before.
    pub fn block(&self, start: usize) -> Option<std::ops::RangeInclusive<usize>> {
        let rest = &self.code[start..];
        let mut depth = 0_usize;
        let mut nested = 0_usize;
        for (offset, character) in rest.char_indices() {
            match character {
                '(' | '[' => nested += 1,
                ')' | ']' => nested = nested.saturating_sub(1),
                ';' if depth == 0 && nested == 0 => return None,
                '{' => depth += 1,
                '}' => {
                    depth = depth.checked_sub(1)?;
                    if depth == 0 {
                        return Some(line_of(&self.code, start)..=line_of(&self.code, start + offset));
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository's root")
}

/// The line, from 1, of a byte.
pub fn line_of(text: &str, byte: usize) -> usize {
    text[..byte].matches('\n').count() + 1
}

/// Whether `word` stands in `line` and no letter of a name touches it.
pub fn has_word(line: &str, word: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let starts = !before.is_some_and(letter) || !word.starts_with(letter);
        let ends = !after.is_some_and(letter) || !word.ends_with(letter);
        starts && ends
    })
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of the repository").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let built = ["target", "node_modules", "patchcord-data", "__pycache__", "corpus", "artifacts"];
        let hidden = name.to_string_lossy().starts_with('.') && name != ".ci";
        if hidden || built.iter().any(|built| name == *built) {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths);
        } else {
            paths.push(path);
        }
    }
}

/// Replaces comments, strings and character literals by spaces, keeping every line break.
fn blank(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = opaque_length(rest, code.chars().next_back());
        if length == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (opaque, after) = rest.split_at(length);
        code.extend(opaque.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = after;
    }
    code
}

/// The length of the comment, string or character that `text` begins with; 0 if it begins with code.
fn opaque_length(text: &str, before: Option<char>) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return comment_length(text);
    }
    if text.starts_with('"') {
        return string_length(text);
    }
    let inside_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r'));
    if let Some(raw) = raw.filter(|_| !inside_name) {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let prefix = text.len() - raw.len() + hashes + 1;
            return text[prefix..].find(&close).map_or(text.len(), |end| prefix + end + close.len());
        }
    }
    if text.starts_with('\'') {
        return character_length(text);
    }
    0
}

fn comment_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn string_length(text: &str) -> usize {
    let mut escaped = true;
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal has a quote behind one character or an escape; otherwise it is a lifetime.
fn character_length(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match characters.next() {
        Some((_, '\\')) => {
            characters.next();
            text.char_indices().skip(3).find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some((_, c)) if c != '\'' && text[1 + c.len_utf8()..].starts_with('\'') => c.len_utf8() + 2,
        _ => 0,
    }
}

/// For each line of blanked code whether it stands in an item under `#[cfg(test)]`.
fn test_lines(code: &str) -> Vec<bool> {
    let mut lines = vec![false; code.lines().count()];
    for (start, _) in code.match_indices("#[cfg(test)]") {
        let mut depth = 0_usize;
        let mut end = code.len();
        for (offset, character) in code[start..].char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 1 => {
                    end = start + offset;
                    break;
                }
                '}' => depth = depth.saturating_sub(1),
                ';' if depth == 0 => {
                    end = start + offset;
                    break;
                }
                _ => {}
            }
        }
        let last = line_of(code, end).min(lines.len());
        lines[line_of(code, start) - 1..last].fill(true);
    }
    lines
}

#[test]
fn comments_strings_and_characters_are_blanked_and_lines_stay() {
    let text = "a /* b /* c */ d */ \"e\\\" // f\" 'g' '\\'' '\\u{1F600}' r#\"h \"i\"# br\"j\" // k\nl<'m> 'n: b\"o\"\n";
    let code = blank(text);
    assert_eq!(code.split_whitespace().collect::<Vec<_>>(), ["a", "l<'m>", "'n:", "b"]);
    assert_eq!(code.matches('\n').count(), text.matches('\n').count());
    assert_eq!(blank("'é' + 'x'; attr\"x\"").split_whitespace().collect::<Vec<_>>(), ["+", ";", "attr"]);
}

#[test]
fn the_lines_of_a_test_module_are_known() {
    let file = SourceFile::new(
        "crates/core/src/a.rs",
        "fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n",
    );
    assert_eq!(
        (1..=6).map(|line| file.is_test(line)).collect::<Vec<_>>(),
        [false, true, true, true, true, false]
    );
    let tree = Tree::of(&[
        ("crates/core/src/b/mod.rs", "#[cfg(test)]\nmod laws;\nfn a() {}\n"),
        ("crates/core/src/b/laws.rs", "fn b() {}\n"),
    ]);
    assert!(!tree.files[0].is_test(3) && tree.files[1].is_test(1));
}
