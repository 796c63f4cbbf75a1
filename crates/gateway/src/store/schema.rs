//! The schema: steps that lead forward only, each in a transaction; a newer schema than ours is not touched.

use super::StoreError;
use super::engine::{Link, Query};

/// Every step, first to last. A step that was ever released is never changed: add another.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_calls.sql"),
    include_str!("migrations/0002_key_owners.sql"),
    include_str!("migrations/0003_call_traces.sql"),
    include_str!("migrations/0004_talk.sql"),
    include_str!("migrations/0005_overview.sql"),
    include_str!("migrations/0006_extractions.sql"),
    include_str!("migrations/0007_call_search.sql"),
    include_str!("migrations/0008_stale_files.sql"),
];

/// Brings the database up to the newest step; `database` is its name in errors.
pub(super) async fn migrate(link: &mut Link, database: &str) -> Result<(), StoreError> {
    link.begin().await?;
    let done = steps(link, database).await;
    match done {
        Ok(()) => link.commit().await,
        Err(error) => {
            // The first error is the one to tell.
            let _ = link.roll_back().await;
            Err(error)
        }
    }
}

async fn steps(link: &mut Link, database: &str) -> Result<(), StoreError> {
    Query::new("CREATE TABLE IF NOT EXISTS patchcord_schema (version BIGINT NOT NULL)").execute(link).await?;
    let versions = Query::new("SELECT version FROM patchcord_schema").row(link).await?;
    let found = versions.map(|mut row| row.whole()).transpose()?;
    let known = STEPS.len() as u64;
    let done = found.unwrap_or(0);
    if done > known {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        return Err(StoreError::Newer {
            database: database.to_owned(),
            found: whole(done),
            known: whole(known),
        });
    }
    for step in STEPS.iter().skip(usize::try_from(done).unwrap_or(usize::MAX)) {
        let script = step.replace("{serial}", link.serial());
        link.script(script).await?;
    }
    let write = match found {
        Some(version) if version == known => return Ok(()),
        Some(_) => "UPDATE patchcord_schema SET version = $1",
        None => "INSERT INTO patchcord_schema (version) VALUES ($1)",
    };
    Query::new(write).whole(known).execute(link).await.map(|_| ())
}
