//! Rules about who may know whom: modules inside a crate, and crates.

use super::Rule;
use super::source::{Finding, SourceFile, Tree, has_word, line_of};

pub const RULES: &[Rule] = &[
    Rule {
        name: "a module imports only what stands below it",
        check: modules,
        bad: &[
            ("crates/core/src/media/a.rs", "//! A.\nuse crate::vocabulary::CallId;\n", 2),
            ("crates/core/src/dialect/x/wire.rs", "//! A.\nuse crate::{media, call::Call};\n", 2),
            ("crates/core/src/dialect/x/mod.rs", "//! A.\n\nfn f() { super::super::call::g(); }\n", 3),
            ("crates/gateway/src/store/a.rs", "//! A.\nuse crate::http::Api;\n", 2),
            ("crates/gateway/src/calls/a.rs", "//! A.\nuse crate::app::App;\n", 2),
            ("crates/gateway/src/config/a.rs", "//! A.\nuse crate::net::Ws;\n", 2),
        ],
        good: &[
            (
                "crates/core/src/dialect/x/mod.rs",
                "//! A.\nuse crate::media::Frame;\nuse super::Out;\nmod wire;\n",
            ),
            ("crates/core/src/call/mod.rs", "//! A.\nuse crate::{dialect, media, rtp, vocabulary};\n"),
            ("crates/gateway/src/cli/serve.rs", "//! A.\nuse crate::app::App;\n"),
            ("crates/core/src/media/b.rs", "//! A. Not crate::call.\nlet a = \"crate::call\";\n"),
        ],
    },
    Rule {
        name: "a dialect imports no other dialect",
        check: dialects,
        bad: &[
            ("crates/core/src/dialect/one/wire.rs", "//! A.\nuse crate::dialect::two::Start;\n", 2),
            ("crates/core/src/dialect/one/mod.rs", "//! A.\nuse super::two;\n", 2),
        ],
        good: &[
            (
                "crates/core/src/dialect/one/wire.rs",
                "//! A.\nuse crate::dialect::json::Text;\nuse super::super::Out;\n",
            ),
            ("crates/core/src/dialect/two/wire.rs", "//! A.\nuse super::Start;\n"),
            ("crates/core/src/dialect/registry.rs", "//! A.\nuse super::{one, two};\n"),
        ],
    },
    Rule {
        name: "the core has no IO, no clock and no tasks",
        check: core_purity,
        bad: &[
            ("crates/core/src/call/a.rs", "//! A.\nuse tokio::time;\n", 2),
            ("crates/core/src/call/a.rs", "//! A.\nuse std::net::UdpSocket;\n", 2),
            ("crates/core/src/call/a.rs", "//! A.\nlet f = std::fs::read(p);\n", 2),
            ("crates/core/src/call/a.rs", "//! A.\nlet now = Instant::now();\n", 2),
            ("crates/core/Cargo.toml", "[dependencies]\nserde.workspace = true\ntokio.workspace = true\n", 3),
        ],
        good: &[
            ("crates/core/src/call/a.rs", "//! A.\nuse std::net::IpAddr;\nuse std::time::Duration;\n"),
            (
                "crates/core/Cargo.toml",
                "[dependencies]\nserde.workspace = true\n[dev-dependencies]\nproptest = \"1\"\n",
            ),
        ],
    },
    Rule {
        name: "the SIP library stays in crates/sip, and crates/sip knows nothing of ours",
        check: sip_wall,
        bad: &[
            ("crates/gateway/src/net/a.rs", "//! A.\nuse rsipstack::sip;\n", 2),
            ("crates/gateway/Cargo.toml", "[dependencies]\nrsipstack.workspace = true\n", 2),
            ("crates/sip/src/a.rs", "//! A.\nuse patchcord_core::media::MediaFormat;\n", 2),
            ("crates/sip/Cargo.toml", "[dependencies]\npatchcord-core.workspace = true\n", 2),
        ],
        good: &[
            ("crates/sip/src/a.rs", "//! A.\nuse rsipstack::sip;\n"),
            ("crates/gateway/src/net/a.rs", "//! A. Not rsipstack.\nuse patchcord_sip::Agent;\n"),
        ],
    },
    Rule {
        name: "nothing that ships depends on the testkit",
        check: testkit_wall,
        bad: &[
            ("crates/gateway/Cargo.toml", "[dependencies]\npatchcord-testkit.workspace = true\n", 2),
            ("crates/core/src/a.rs", "//! A.\nuse patchcord_testkit::Talk;\n", 2),
        ],
        good: &[
            ("crates/gateway/Cargo.toml", "[dev-dependencies]\npatchcord-testkit.workspace = true\n"),
            ("crates/core/tests/it/main.rs", "//! A.\nuse patchcord_testkit::Talk;\n"),
        ],
    },
    Rule {
        name: "what deny.toml bans is not in Cargo.lock",
        check: banned,
        bad: &[("Cargo.lock", "[[package]]\nname = \"openssl\"\nversion = \"0.10.0\"\n", 2)],
        good: &[
            ("Cargo.lock", "[[package]]\nname = \"openssl-probe\"\n[[package]]\nname = \"ring\"\n"),
            ("deny.toml", "[bans]\ndeny = [\n  { crate = \"openssl\", reason = \"one TLS stack\" },\n]\n"),
        ],
    },
];

/// A crate, a module of it, and the modules that it may not import.
const FORBIDDEN: &[(&str, &str, &[&str])] = &[
    ("core", "media", &["vocabulary", "dialect", "call", "rtp", "agent"]),
    ("core", "rtp", &["dialect", "call", "agent"]),
    ("core", "vocabulary", &["dialect", "call", "rtp", "agent"]),
    ("core", "dialect", &["call", "rtp", "agent"]),
    ("core", "agent", &["call"]),
    ("gateway", "config", &["app", "calls", "net", "http", "bots", "store", "jobs", "cli", "tasks"]),
    ("gateway", "store", &["app", "calls", "net", "http", "bots", "jobs", "cli"]),
    ("gateway", "jobs", &["app", "calls", "http", "bots", "cli"]),
    ("gateway", "net", &["app", "calls", "http", "bots", "jobs", "store", "cli"]),
    ("gateway", "bots", &["app", "calls", "http", "jobs", "store", "cli"]),
    ("gateway", "caller", &["app", "bots", "calls", "cli", "config", "http", "jobs", "store"]),
    ("gateway", "calls", &["app", "http", "cli", "caller"]),
    ("gateway", "http", &["app", "cli"]),
    ("gateway", "doctor", &["app", "bots", "cli", "http"]),
    ("gateway", "recording", &["app", "calls", "http", "cli"]),
    ("gateway", "leavings", &["app", "bots", "calls", "cli", "http", "jobs", "net", "recording"]),
];

fn modules(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, module, forbidden) in FORBIDDEN {
        let root = format!("crates/{name}/src/");
        for file in tree.rust(&root).filter(|file| file.module_path().first() == Some(module)) {
            for (line, path) in imports(file) {
                if let Some(other) = path.first().filter(|other| forbidden.contains(&other.as_str())) {
                    found.push(file.finding(line, format!("{module} knows {other}")));
                }
            }
        }
    }
    found
}

fn dialects(tree: &Tree) -> Vec<Finding> {
    let files: Vec<_> = tree.rust("crates/core/src/dialect/").collect();
    let folders: Vec<&str> =
        files.iter().filter(|file| file.path.matches('/').count() > 4).filter_map(|f| folder(f)).collect();
    let mut found = Vec::new();
    for file in files {
        let Some(own) = folder(file).filter(|own| folders.contains(own)) else { continue };
        // A sample has one file; in the tree every dialect has a folder.
        let is_other = |name: &String| name != own && (folders.contains(&name.as_str()) || name == "two");
        for (line, path) in imports(file) {
            if path.first().is_some_and(|first| first == "dialect")
                && let Some(other) = path.get(1).filter(|name| is_other(name))
            {
                found.push(file.finding(line, format!("{own} knows {other}")));
            }
        }
    }
    found
}

/// The dialect that a file belongs to; `envelope` is none, a family of dialects shares it.
pub fn folder(file: &SourceFile) -> Option<&str> {
    let (folder, _) = file.path.strip_prefix("crates/core/src/dialect/")?.split_once('/')?;
    (folder != "envelope").then_some(folder)
}

fn core_purity(tree: &Tree) -> Vec<Finding> {
    let words = [
        "tokio",
        "rsipstack",
        "UdpSocket",
        "TcpStream",
        "TcpListener",
        "std::fs",
        "std::env",
        "std::thread",
        "Instant",
        "SystemTime",
        "getrandom",
        "std::process",
    ];
    let mut found = words_outside(tree, "crates/core/src/", &words, |_| false);
    found.extend(dependencies(
        tree,
        "crates/core/Cargo.toml",
        &["tokio", "rsipstack", "axum", "getrandom", "socket2", "rand"],
    ));
    found
}

fn sip_wall(tree: &Tree) -> Vec<Finding> {
    let mut found = words_outside(tree, "crates/", &["rsipstack"], |path| path.starts_with("crates/sip/"));
    found.retain(|finding| !finding.path.contains("/tests/it/tidy"));
    found.extend(words_outside(tree, "crates/sip/", &["patchcord_core", "patchcord"], |_| false));
    for name in ["core", "gateway", "testkit"] {
        found.extend(dependencies(tree, &format!("crates/{name}/Cargo.toml"), &["rsipstack"]));
    }
    found.extend(dependencies(tree, "crates/sip/Cargo.toml", &["patchcord-core", "patchcord"]));
    found
}

fn testkit_wall(tree: &Tree) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust("crates/").filter(|file| !file.path.starts_with("crates/testkit/")) {
        let shipped = file.lines_with("patchcord_testkit").filter(|line| !file.is_test(*line));
        found.extend(shipped.map(|line| file.finding(line, "patchcord_testkit")));
    }
    for name in ["core", "sip", "gateway"] {
        found.extend(dependencies(tree, &format!("crates/{name}/Cargo.toml"), &["patchcord-testkit"]));
    }
    found
}

/// The lines with one of `words` in Rust files under `prefix`, tests included, but not in files that `except`.
fn words_outside(tree: &Tree, prefix: &str, words: &[&str], except: fn(&str) -> bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for file in tree.rust(prefix).filter(|file| !except(&file.path)) {
        for (line, code) in file.code_lines() {
            let hit = words.iter().find(|word| has_word(code, word));
            found.extend(hit.map(|word| file.finding(line, *word)));
        }
    }
    found
}

/// The lines of `[dependencies]` in the manifest at `path` that name one of `names`.
fn dependencies(tree: &Tree, path: &str, names: &[&str]) -> Vec<Finding> {
    let Some(file) = tree.find(path) else { return Vec::new() };
    let mut found = Vec::new();
    let mut section = "";
    for (line, text) in file.code_lines() {
        if text.starts_with('[') {
            section = text.trim();
        }
        let name = text.split(['.', '=', ' ']).next().unwrap_or_default();
        if section == "[dependencies]" && names.contains(&name) {
            found.push(file.finding(line, name));
        }
    }
    found
}

fn banned(tree: &Tree) -> Vec<Finding> {
    let (Some(lock), bans) = (tree.find("Cargo.lock"), tree.find("deny.toml")) else { return Vec::new() };
    // A sample has no list of its own.
    let rows = bans.map_or("{ crate = \"openssl\"", |bans| bans.text.as_str()).split("crate = \"").skip(1);
    let names: Vec<&str> = rows.filter_map(|row| row.split_once('"').map(|(name, _)| name)).collect();
    let packages = lock.code_lines().filter_map(|(line, text)| Some((line, text.strip_prefix("name = \"")?)));
    let hits =
        packages.filter(|(_, package)| names.iter().any(|name| package.trim_end_matches('"') == *name));
    hits.map(|(line, package)| lock.finding(line, package.trim_end_matches('"'))).collect()
}

/// The paths inside the crate that the shipped code of a file names, from the crate's root, with their lines.
fn imports(file: &SourceFile) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    let code = &file.code;
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let line = line_of(code, at);
            let inner = code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if inner || file.is_test(line) {
                continue;
            }
            let mut path: Vec<String> = file.module_path().into_iter().map(str::to_owned).collect();
            let mut rest = &code[at..];
            while let Some(after) = rest.strip_prefix("super::") {
                path.pop();
                rest = after;
            }
            if let Some(after) = rest.strip_prefix("crate::") {
                path.clear();
                rest = after;
            }
            expand(&path, rest, &mut |path| found.push((line, path)));
        }
    }
    found
}

/// Follows a path through its groups: `a::{b, c::d}` gives `a::b` and `a::c::d`.
fn expand(path: &[String], rest: &str, found: &mut impl FnMut(Vec<String>)) {
    if let Some(group) = rest.strip_prefix('{') {
        let mut depth = 0_usize;
        let mut start = 0;
        for (at, character) in group.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    expand_dyn(path, group[start..at].trim(), found);
                    start = at + 1;
                    if character == '}' {
                        return;
                    }
                }
                _ => {}
            }
        }
        return;
    }
    let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut path = path.to_vec();
    let after = &rest[name.len()..];
    path.push(name);
    match after.strip_prefix("::") {
        Some(after) => expand_dyn(&path, after, found),
        None => found(path),
    }
}

/// [`expand`] behind a pointer, so that its recursion does not grow a type.
fn expand_dyn(path: &[String], rest: &str, found: &mut dyn FnMut(Vec<String>)) {
    expand(path, rest, &mut |path| found(path));
}

#[test]
fn groups_and_supers_become_paths_from_the_root() {
    let text = "//! A.\nuse crate::{a, b::{c, d}};\nuse super::super::e::f;\nuse super::*;\n";
    let tree = Tree::of(&[("crates/core/src/x/y/z.rs", text)]);
    let found: Vec<_> =
        imports(&tree.files[0]).into_iter().map(|(line, path)| (line, path.join("::"))).collect();
    let expected = [(2, "a"), (2, "b::c"), (2, "b::d"), (3, "x::e::f"), (4, "x::y::")];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
}
