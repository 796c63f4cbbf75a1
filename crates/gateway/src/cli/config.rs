//! `patchcord config check|print|schema`: what a configuration says, what is wrong with it, what may stand in one.

use serde_json::json;

use super::args::{ConfigAction, ConfigArgs};
use super::exit::Exit;
use super::terminal::{data, talk, tell_problems};
use crate::config::{self, Environment, Loaded, Place, Problem, Problems, to_toml};

/// Runs `patchcord config`.
pub fn run(args: &ConfigArgs) -> Exit {
    let file = match &args.action {
        ConfigAction::Check(file) | ConfigAction::Print(file) => file,
        ConfigAction::Schema(_) => {
            data(&format!("{:#}\n", config::json_schema()));
            return Exit::Ok;
        }
    };
    let loaded = match config::load(file.config.as_deref(), &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            report(&problems, file.json);
            return Exit::Failed;
        }
    };
    let is_check = matches!(args.action, ConfigAction::Check(_));
    match (is_check, file.json) {
        (true, true) => data("[]\n"),
        (true, false) => talk(&summary(&loaded)),
        (false, true) => data(&format!("{:#}\n", shown_as_json(&loaded))),
        (false, false) => data(&to_toml(&loaded.shown)),
    }
    Exit::Ok
}

/// Tells the problems: as JSON on stdout, or in sentences on stderr.
fn report(problems: &Problems, as_json: bool) {
    if as_json {
        let rows: Vec<_> = problems.0.iter().map(problem_as_json).collect();
        data(&format!("{:#}\n", serde_json::Value::from(rows)));
    } else {
        tell_problems(problems);
    }
}

fn problem_as_json(problem: &Problem) -> serde_json::Value {
    let (line, column) = match &problem.place {
        Place::File { line, column, .. } => (Some(*line), Some(*column)),
        Place::Import(_) | Place::Variable(_) | Place::Default => (None, None),
    };
    json!({
        "key": problem.key,
        "place": problem.place.to_string(),
        "line": line,
        "column": column,
        "problem": problem.what,
        "cure": problem.cure,
        "did_you_mean": problem.did_you_mean,
    })
}

fn summary(loaded: &Loaded) -> String {
    let source =
        loaded.file.as_ref().map_or("no file: the defaults".to_owned(), |file| file.display().to_string());
    let Loaded { config, .. } = loaded;
    format!(
        "{source}: good. {}, {} beside the built-in ones, {}",
        counted(config.numbers.len(), "number"),
        counted(config.bots.len(), "bot"),
        counted(config.listeners.len(), "listener")
    )
}

fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn shown_as_json(loaded: &Loaded) -> serde_json::Value {
    let rows = loaded.shown.iter().map(|key| {
        json!({
            "key": format!("{}.{}", key.section, key.name),
            "value": key.value,
            "from": key.place.to_string(),
        })
    });
    rows.collect()
}
