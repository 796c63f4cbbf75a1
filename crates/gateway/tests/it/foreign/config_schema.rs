//! The JSON Schema of the configuration, judged by a validator that nobody here wrote.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::folder::Folder;
use super::gateway::binary;
use super::peer;
use super::program::Program;

#[tokio::test]
async fn every_file_that_we_ship_fits_the_schema() {
    let folder = Folder::new("schema-good");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let example = std::fs::read_to_string(root.join("config.example.toml")).unwrap();
    let all_keys = folder.file("all-keys.toml");
    std::fs::write(&all_keys, example.replace("#: ", "")).unwrap();
    let mut files = vec![root.join("config.example.toml"), PathBuf::from(all_keys)];
    if let Ok(examples) = std::fs::read_dir(root.join("examples")) {
        let paths = examples.map(|entry| entry.unwrap().path());
        files.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "toml")));
    }
    for verdict in judge(&folder, &files).await {
        assert_eq!(verdict["ok"], true, "{verdict}");
    }
}

#[tokio::test]
async fn what_config_check_refuses_by_name_kind_or_word_the_schema_refuses_too() {
    let folder = Folder::new("schema-bad");
    let bot = "[bots.a]\nurl = \"ws://h/\"\ndialect = \"smartpbx\"\n";
    let cases = [
        ("[server]\ndrian = \"30s\"\n", "$.server"),
        ("[servers]\nid = \"a\"\n", "$"),
        ("[server]\ndrain = 30\n", "$.server.drain"),
        ("[server]\ndrain = \"30 seconds\"\n", "$.server.drain"),
        ("[log]\nformat = \"xml\"\n", "$.log.format"),
        ("[sip]\ncodecs = \"PCMU\"\n", "$.sip.codecs"),
        ("[storage]\ndatabse = \"sqlite:x\"\n", "$.storage"),
        ("[bots.a]\nurl = \"ws://h/\"\n", "$.bots.a"),
        (&format!("{bot}audio = {{ sample_rate = \"8000\" }}\n"), "$.bots.a.audio.sample_rate"),
        (&bot.replace("smartpbx", "smartpxb"), "$.bots.a.dialect"),
        ("[numbers]\nnumber = \"1\"\n", "$.numbers"),
    ];
    let files: Vec<PathBuf> = (0..cases.len()).map(|n| folder.file(&format!("{n}.toml")).into()).collect();
    for (file, (text, _)) in files.iter().zip(&cases) {
        std::fs::write(file, text).unwrap();
    }
    let verdicts = judge(&folder, &files).await;
    assert_eq!(verdicts.len(), cases.len());
    for (verdict, (text, place)) in verdicts.iter().zip(&cases) {
        let errors = verdict["errors"].as_array().unwrap();
        let at_place = errors.iter().any(|error| error.as_str().unwrap().starts_with(&format!("{place}: ")));
        assert!(at_place, "{text}: {verdict}");
        assert!(patchcord::config::Config::parse(text).is_err(), "config check takes {text}");
    }
}

/// What the validator says of each file.
async fn judge(folder: &Folder, files: &[PathBuf]) -> Vec<Value> {
    let printed = std::process::Command::new(binary()).args(["config", "schema"]).output().unwrap();
    assert!(printed.status.success());
    let schema = folder.file("schema.json");
    std::fs::write(&schema, printed.stdout).unwrap();
    let mut arguments = vec![peer("schemacheck.py"), schema.into()];
    arguments.extend_from_slice(files);
    let validator = Program::start("validator", peer(".venv/bin/python"), arguments, folder.path());
    let (lines, status) = validator.finish(Duration::from_secs(30)).await;
    assert!(matches!(status.code(), Some(0 | 1)), "the validator failed: {status}");
    let verdicts = lines.iter().filter_map(|line| line.strip_prefix("VERDICT "));
    verdicts.map(|verdict| serde_json::from_str(verdict).unwrap()).collect()
}
