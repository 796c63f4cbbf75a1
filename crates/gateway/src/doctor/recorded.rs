//! Finds a call in `calls.jsonl` by its id, by the beginning of it, or as the last one.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

/// Why there is no such call.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// No id begins so.
    #[error("no call in {0} has an id that begins with \"{1}\"")]
    Unknown(String, String),
    /// Several do.
    #[error("several calls begin with \"{0}\": {1}")]
    Ambiguous(String, String),
    /// The file holds no call.
    #[error("{0} holds no call yet")]
    Empty(String),
    /// The file cannot be read.
    #[error("{0}: {1}")]
    Unreadable(String, io::Error),
}

/// The record of the call that is `wanted`: `last`, an id, or its beginning with or without `call_`.
///
/// # Errors
/// [`Missing`].
pub fn find(file: &Path, wanted: &str) -> Result<Value, Missing> {
    let shown = file.display().to_string();
    let unreadable = |error| Missing::Unreadable(shown.clone(), error);
    let lines = BufReader::new(File::open(file).map_err(unreadable)?).lines();
    let mut found: Vec<Value> = Vec::new();
    for line in lines {
        // Half a line, left by a crash, is no record.
        let Ok(record) = serde_json::from_str::<Value>(&line.map_err(unreadable)?) else { continue };
        let Some(id) = record["call_id"].as_str() else { continue };
        if wanted == LAST {
            found = vec![record];
        } else if id == wanted {
            return Ok(record);
        } else if found.len() <= CALLS_TOLD
            && [id, id.trim_start_matches(ID_PREFIX)].iter().any(|id| id.starts_with(wanted))
        {
            found.push(record);
        }
    }
    let ids = |found: &[Value]| {
        let ids = found.iter().filter_map(|record| record["call_id"].as_str()).take(CALLS_TOLD);
        ids.collect::<Vec<_>>().join(", ")
    };
    match found.pop() {
        None if wanted == LAST => Err(Missing::Empty(shown)),
        None => Err(Missing::Unknown(shown, wanted.to_owned())),
        Some(record) if found.is_empty() => Ok(record),
        Some(record) => {
            found.push(record);
            Err(Missing::Ambiguous(wanted.to_owned(), ids(&found)))
        }
    }
}

/// The word for the last call.
const LAST: &str = "last";

/// What all ids begin with.
const ID_PREFIX: &str = "call_";

/// Calls that are named when several begin alike.
const CALLS_TOLD: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::scratch_folder::ScratchFolder;

    #[test]
    fn a_call_is_found_by_its_id_by_a_beginning_that_no_other_has_and_as_the_last() {
        let folder = ScratchFolder::new().unwrap();
        let file = folder.path().join("calls.jsonl");
        assert!(matches!(find(&file, "last"), Err(Missing::Unreadable(..))));
        std::fs::write(&file, "{\"call_id\":\"ca\n").unwrap();
        assert!(matches!(find(&file, "last"), Err(Missing::Empty(_))));
        let line = |id: &str| format!("{{\"call_id\":\"{id}\"}}\n");
        std::fs::write(&file, format!("{}half\n{}{}", line("call_1_a"), line("call_1_ab"), line("call_2_c")))
            .unwrap();
        let id = |wanted: &str| find(&file, wanted).unwrap()["call_id"].as_str().unwrap().to_owned();
        for (wanted, expected) in
            [("last", "call_2_c"), ("call_1_a", "call_1_a"), ("call_2", "call_2_c"), ("1_ab", "call_1_ab")]
        {
            assert_eq!(id(wanted), expected);
        }
        assert!(find(&file, "call_1").unwrap_err().to_string().contains("call_1_a, call_1_ab"));
        assert!(matches!(find(&file, "call_3"), Err(Missing::Unknown(..))));
    }
}
