//! Rules about what code does: bounds, tasks, waiting, panics, words.

use super::Rule;
use super::source::{Finding, SourceFile, Tree, has_word};

pub const RULES: &[Rule] = &[
    Rule {
        name: "every channel has a bound",
        check: channels,
        bad: &[
            ("crates/gateway/src/a.rs", "//! A.\nlet (a, b) = mpsc::unbounded_channel();\n", 2),
            ("crates/gateway/src/a.rs", "//! A.\nlet (a, b) = std::sync::mpsc::channel();\n", 2),
        ],
        good: &[
            ("crates/gateway/src/a.rs", "//! A.\nlet (a, b) = tokio::sync::mpsc::channel(QUEUE_MAX);\n"),
            (
                "crates/gateway/src/b.rs",
                "//! A.\nuse std::sync::mpsc::sync_channel;\nlet c = oneshot::channel();\n",
            ),
        ],
    },
    Rule {
        name: "tasks and threads start in one place",
        check: spawns,
        bad: &[
            ("crates/gateway/src/a.rs", "//! A.\ntokio::spawn(run());\n", 2),
            ("crates/gateway/src/a.rs", "//! A.\nstd::thread::spawn(run);\n", 2),
            ("crates/gateway/src/a.rs", "//! A.\nhandle.spawn_blocking(run);\n", 2),
            ("crates/gateway/src/a.rs", "//! A.\nuse tokio::task::JoinSet;\n", 2),
        ],
        good: &[
            ("crates/gateway/src/tasks.rs", "//! A.\ntokio::spawn(run());\n"),
            ("crates/gateway/src/a.rs", "//! A.\ntasks.spawn(\"resolve\", run());\n"),
            ("crates/gateway/tests/it/a.rs", "//! A.\ntokio::spawn(run());\n"),
        ],
    },
    Rule {
        name: "what the gateway dials leaves through the guard",
        check: dials,
        bad: &[
            ("crates/gateway/src/jobs/a.rs", "//! A.\nlet s = TcpStream::connect(address).await;\n", 2),
            ("crates/gateway/src/net/a.rs", "//! A.\nlet s = TcpSocket::new_v4();\n", 2),
            ("crates/gateway/src/calls/a.rs", "//! A.\nconnect_async(url).await;\n", 2),
        ],
        good: &[
            ("crates/gateway/src/net/egress.rs", "//! A.\nTcpStream::connect(address).await;\n"),
            ("crates/gateway/src/calls/a.rs", "//! A.\negress.connect(to, trust, deadline).await;\n"),
            ("crates/sip/src/net/a.rs", "//! A.\nTcpStream::connect(address).await;\n"),
        ],
    },
    Rule {
        name: "a test never sleeps",
        check: sleeps,
        bad: &[
            ("crates/gateway/tests/it/a.rs", "//! A.\ntokio::time::sleep(d).await;\n", 2),
            (
                "crates/core/src/a.rs",
                "//! A.\n#[cfg(test)]\nmod tests {\n    fn f() { std::thread::sleep(d); }\n}\n",
                4,
            ),
        ],
        good: &[
            ("crates/gateway/src/a.rs", "//! A.\ntokio::time::sleep(d).await;\n"),
            ("crates/gateway/tests/it/a.rs", "//! A.\ntokio::time::sleep_until(deadline).await;\n"),
        ],
    },
    Rule {
        name: "what ships does not panic on purpose",
        check: panics,
        bad: &[
            ("crates/core/src/a.rs", "//! A.\nlet a = b.unwrap();\n", 2),
            ("crates/core/src/a.rs", "//! A.\nlet a = b.expect(\"c\");\n", 2),
            ("crates/core/src/a.rs", "//! A.\npanic!(\"d\");\n", 2),
            ("crates/core/src/a.rs", "//! A.\ntodo!();\n", 2),
        ],
        good: &[
            (
                "crates/core/src/a.rs",
                "//! A.\nlet a = b.unwrap_or(1); // .unwrap()\nparser.expect_object();\n",
            ),
            ("crates/core/src/b.rs", "//! A.\n#[cfg(test)]\nmod tests {\n    fn f() { a.unwrap(); }\n}\n"),
        ],
    },
    Rule {
        name: "the environment is read in the configuration",
        check: environment,
        bad: &[("crates/gateway/src/net/a.rs", "//! A.\nlet a = std::env::var(\"A\");\n", 2)],
        good: &[
            ("crates/gateway/src/config/environment.rs", "//! A.\nstd::env::vars_os();\n"),
            ("crates/gateway/build.rs", "//! A.\nstd::env::var_os(\"OUT_DIR\");\n"),
            ("crates/gateway/src/main.rs", "//! A.\nstd::env::args_os();\nenv!(\"CARGO_PKG_VERSION\");\n"),
        ],
    },
    Rule {
        name: "no test is skipped and nothing is left for later",
        check: leftovers,
        bad: &[
            ("crates/core/src/a.rs", concat!("//! A.\n// TO", "DO: more\n"), 2),
            ("crates/core/src/a.rs", "//! A.\n#[ignore]\nfn a() {}\n", 2),
            ("crates/core/src/a.rs", "//! A.\n#[cfg(test)]\n#[ignore = \"slow\"]\nfn a() {}\n", 3),
        ],
        good: &[("crates/core/src/a.rs", "//! A.\n// A host that mastodons ignore.\n")],
    },
    Rule {
        name: "a comment does not tell history",
        check: history,
        bad: &[
            ("crates/core/src/a.rs", concat!("//! A.\n// This is no lon", "ger used.\n"), 2),
            ("crates/core/src/a.rs", concat!("//! A.\n/// Previ", "ously a queue.\n"), 2),
        ],
        good: &[("crates/core/src/a.rs", "//! A.\n// The longer of the two.\n")],
    },
    Rule {
        name: "the project speaks of itself alone",
        check: strangers,
        bad: &[
            ("docs/a.md", concat!("See /wo", "rk/main.\n"), 1),
            ("crates/core/src/a.rs", concat!("//! A.\n// in /ro", "ot/.cargo\n"), 2),
            ("peers/a.py", concat!("open('/t", "mp/a.wav')\n"), 1),
            ("Makefile", concat!("x:\n\tpip install -i https://py", "pi.org/simple\n"), 2),
        ],
        good: &[("docs/a.md", "Work in a temporary folder; /metrics, /health, crates/core.\n")],
    },
];

/// The one file that opens connections to where a URL leads.
const GUARD: &str = "crates/gateway/src/net/egress.rs";

/// The files that may start tasks and threads.
const SPAWNERS: &[&str] = &["crates/gateway/src/tasks.rs", "crates/sip/src/net/tasks.rs"];

fn channels(tree: &Tree) -> Vec<Finding> {
    let words = ["unbounded_channel", "unbounded", "UnboundedSender", "UnboundedReceiver"];
    lines(tree, Part::Shipped, |line| {
        let unbounded = words.iter().any(|word| has_word(line, word));
        // Only the standard library's unbounded channel is made without a number.
        let standard =
            line.contains("mpsc::channel()") || line.contains("mpsc::channel::<") && line.contains(">()");
        unbounded || standard || line.contains("std::sync::mpsc") && has_word(line, "channel")
    })
}

fn spawns(tree: &Tree) -> Vec<Finding> {
    let mut found = lines(tree, Part::Shipped, |line| {
        let words =
            ["tokio::spawn", "task::spawn", "thread::spawn", "spawn_blocking", "spawn_local", "JoinSet"];
        words.iter().any(|word| has_word(line, word))
    });
    found.retain(|finding| !SPAWNERS.contains(&finding.path.as_str()));
    found
}

fn dials(tree: &Tree) -> Vec<Finding> {
    let mut found = lines(tree, Part::Shipped, |line| {
        ["TcpStream::connect", "TcpSocket", "connect_async"].iter().any(|word| has_word(line, word))
    });
    found.retain(|finding| finding.path.starts_with("crates/gateway/src/") && finding.path != GUARD);
    found
}

fn sleeps(tree: &Tree) -> Vec<Finding> {
    lines(tree, Part::Tests, |line| line.contains("sleep("))
}

fn panics(tree: &Tree) -> Vec<Finding> {
    lines(tree, Part::Shipped, |line| {
        let calls = [".unwrap()", ".unwrap_err()", ".expect(", ".expect_err("];
        let macros = ["panic!", "todo!", "unimplemented!", "dbg!"];
        calls.iter().any(|call| line.contains(call)) || macros.iter().any(|name| has_word(line, name))
    })
}

fn environment(tree: &Tree) -> Vec<Finding> {
    let mut found = lines(tree, Part::Shipped, |line| {
        ["env::var", "env::var_os", "env::vars", "env::vars_os", "env::set_var"]
            .iter()
            .any(|word| has_word(line, word))
    });
    // Cargo talks to a build script by nothing else.
    found.retain(|finding| {
        !finding.path.starts_with("crates/gateway/src/config/") && !finding.path.ends_with("/build.rs")
    });
    found
}

fn leftovers(tree: &Tree) -> Vec<Finding> {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:"), concat!("HA", "CK:")];
    let mut found = Vec::new();
    for file in tree.rust("") {
        for (index, text) in file.text.lines().enumerate() {
            let left = words.iter().any(|word| has_word(text, word));
            let skipped = text.trim_start().starts_with("#[ignore");
            if left || skipped {
                found.push(file.finding(index + 1, text.trim()));
            }
        }
    }
    found
}

fn history(tree: &Tree) -> Vec<Finding> {
    let words = [
        concat!("no lon", "ger"),
        concat!("previ", "ously"),
        concat!("used to ", "be"),
        concat!("used to ", "have"),
    ];
    let mut found = Vec::new();
    for file in tree.rust("") {
        for (index, text) in file.text.lines().enumerate() {
            let Some((_, comment)) = text.split_once("//") else { continue };
            let comment = comment.to_lowercase();
            if words.iter().any(|word| comment.contains(word)) {
                found.push(file.finding(index + 1, text.trim()));
            }
        }
    }
    found
}

fn strangers(tree: &Tree) -> Vec<Finding> {
    let places = [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/t", "mp/")];
    let hosts = [
        concat!("registry.np", "mjs.org"),
        concat!("py", "pi.org"),
        concat!("pythonhosted", ".org"),
        concat!("static.crates", ".io"),
        concat!("index.crates", ".io"),
        concat!("proxy.gol", "ang.org"),
    ];
    let mut found = Vec::new();
    for file in &tree.files {
        // A lock file names its registry: that is its format.
        let is_lock = file.path.ends_with("Cargo.lock") || file.path.ends_with("package-lock.json");
        for (index, text) in file.text.lines().enumerate() {
            let at_place = places.iter().any(|place| names_place(text, place));
            let at_host = !is_lock && hosts.iter().any(|host| text.contains(host));
            if at_place || at_host {
                found.push(file.finding(index + 1, text.trim()));
            }
        }
    }
    found
}

/// Whether `place` stands in `text` as the beginning of a path.
fn names_place(text: &str, place: &str) -> bool {
    text.match_indices(place)
        .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.}~*".contains(c)))
}

/// Which lines of Rust files a rule looks at.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Shipped,
    Tests,
}

/// The lines of code that `matches`, outside the samples of this test.
fn lines(tree: &Tree, part: Part, matches: impl Fn(&str) -> bool) -> Vec<Finding> {
    let wanted = |file: &SourceFile, line| match part {
        Part::Shipped => !file.is_test(line),
        Part::Tests => file.is_test(line),
    };
    let mut found = Vec::new();
    for file in tree.rust("crates/") {
        let hits = file.code_lines().filter(|(line, code)| wanted(file, *line) && matches(code));
        found.extend(hits.map(|(line, code)| file.finding(line, code.trim())));
    }
    found
}
