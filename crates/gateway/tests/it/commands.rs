//! The command line from outside: help, exit codes, what goes to stdout and what to stderr.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use clap::CommandFactory;
use patchcord::caller::scratch_folder::ScratchFolder;
use patchcord::cli::CommandLine;

#[test]
fn every_help_text_begins_with_an_example_that_the_command_line_understands() {
    let mut commands = vec![CommandLine::command()];
    while let Some(mut command) = commands.pop() {
        let help = command.render_long_help().to_string();
        let example =
            help.strip_prefix("Example:\n  ").unwrap_or_else(|| panic!("no example first:\n{help}"));
        let line = example.lines().next().unwrap_or_default();
        let words = line.split('#').next().unwrap_or_default().split_whitespace();
        if let Err(error) = CommandLine::command().try_get_matches_from(words) {
            panic!("the example \"{line}\" is not understood: {error}");
        }
        commands.extend(command.get_subcommands().filter(|command| command.get_name() != "help").cloned());
    }
}

#[test]
fn every_command_can_speak_json() {
    let mut commands = vec![CommandLine::command()];
    while let Some(command) = commands.pop() {
        let is_leaf = command.get_subcommands().count() == 0;
        let has_json = command.get_arguments().any(|argument| argument.get_long() == Some("json"));
        assert!(!is_leaf || has_json, "{} has no --json", command.get_name());
        commands.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_two_and_help_with_zero() {
    for words in [&["dance"][..], &["config"], &["serve", "--colour"], &["dialects", "ozontel"]] {
        let output = patchcord(words);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{words:?} should talk on stderr");
    }
    for words in [&["--help"][..], &["help", "config"], &["--version"], &["config", "check", "--help"]] {
        assert_eq!(patchcord(words).status.code(), Some(0), "{words:?}");
    }
}

#[test]
fn config_check_talks_about_problems_and_fails() {
    let file = std::env::temp_dir().join(format!("patchcord-commands-{}.toml", std::process::id()));
    std::fs::write(&file, "[server]\ndrian = \"30s\"\n[http]\nws_bot = \"ehco\"\n").unwrap();
    let path = file.to_str().unwrap();
    let plain = patchcord(&["config", "check", "--config", path]);
    let json = patchcord(&["config", "check", "--json", "--config", path]);
    let serve = patchcord(&["serve", "--config", path]);
    std::fs::remove_file(&file).unwrap();

    assert_eq!(plain.status.code(), Some(1));
    let talk = text(&plain.stderr);
    assert!(plain.stdout.is_empty(), "{}", text(&plain.stdout));
    for word in ["server.drian", "did you mean \"drain\"?", ":2:1", "did you mean \"echo\"?", "2 problems"] {
        assert!(talk.contains(word), "{word} is not in:\n{talk}");
    }
    assert!(!talk.contains('\u{1b}'), "no colour where nobody sees it");

    assert_eq!(json.status.code(), Some(1));
    let rows: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(rows[0]["key"], "server.drian");
    assert_eq!((&rows[0]["line"], &rows[0]["did_you_mean"]), (&2.into(), &"drain".into()));
    assert!(json.stderr.is_empty(), "{}", text(&json.stderr));

    assert_eq!(serve.status.code(), Some(1), "a service does not start on a bad file");
    assert!(text(&serve.stderr).contains("server.drian"));
}

#[test]
fn config_print_is_data() {
    let output = patchcord(&["config", "print", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let listen = rows.iter().find(|row| row["key"] == "http.listen").unwrap();
    assert_eq!((&listen["value"], &listen["from"]), (&"127.0.0.1:8080".into(), &"default".into()));
}

#[test]
fn dialects_lists_all_and_explains_one() {
    let list = text(&patchcord(&["dialects"]).stdout);
    for name in ["ivr-solutions", "ozonetel", "incoming-call", "smartpbx"] {
        assert!(list.contains(name), "{list}");
        let one: serde_json::Value =
            serde_json::from_slice(&patchcord(&["dialects", name, "--json"]).stdout).unwrap();
        assert_eq!(one["name"], name);
        assert!(one["messages"].as_array().is_some_and(|messages| messages.len() >= 3), "{one}");
        assert!(text(&patchcord(&["dialects", name]).stdout).contains("bot → phone"));
    }
}

#[test]
fn a_bot_by_itself_leaves_nothing_where_it_was_started() {
    let folder = ScratchFolder::new().unwrap();
    let mut bot = Command::new(env!("CARGO_BIN_EXE_patchcord"))
        .args(["bot", "echo", "--dialect", "ozonetel", "--listen", "127.0.0.1:0"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(bot.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let id = bot.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(bot.wait().unwrap().success());
    assert!(line.starts_with("LISTENING ws://127.0.0.1:"), "{line}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Runs the binary in a folder without a configuration.
fn patchcord(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_patchcord"))
        .args(words)
        .current_dir(std::env::temp_dir())
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
