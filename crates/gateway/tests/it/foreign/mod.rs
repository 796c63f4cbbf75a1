//! Calls with programs that nobody here wrote: phones, bots and vendors of `peers/` against the real binary.
//!
//! `make test` runs a few of these at a time, each bounded in time; `PATCHCORD_LONG=1` makes the calls 30 s
//! long. They need what `scripts/setup-tests.sh` installs.

mod agent;
mod agent_calls;
mod agent_talk;
mod api_description;
mod api_examples;
mod ask;
mod bot;
mod bucket;
mod built_in_bots;
mod callbacks;
mod config_api;
mod config_schema;
mod course;
mod dashboard;
mod encryption;
mod engines;
mod example;
mod extensions;
mod extraction;
mod failing_bots;
mod filled;
mod flows;
mod folder;
mod front_proxy;
mod gateway;
mod impairment;
mod kill9;
mod long_call;
mod outbound;
mod peers_can_fail;
mod phone;
mod phone_kinds;
mod phones_meet_bots;
mod plain_socket;
mod postgresql;
mod program;
mod race;
mod recordings;
mod refer;
mod report;
mod seed_messages;
mod serve;
mod sipp;
mod sound;
mod support_archive;
mod sweep;
mod talk_page;
mod traces;
mod transfers;
mod vendor;
mod vendors_meet_bots;
mod whole_call;
mod wideband_phones;

use std::path::{Path, PathBuf};

/// A file of the foreign peers.
fn peer(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../peers").join(path)
}

/// Whether the calls are to be as long as the acceptance asks for.
fn is_long() -> bool {
    std::env::var_os("PATCHCORD_LONG").is_some_and(|value| value == "1")
}

/// Whether a call of a table is wanted: `PATCHCORD_ONLY=WORD` leaves those whose name holds the word.
fn is_wanted(name: &str) -> bool {
    std::env::var("PATCHCORD_ONLY").map_or(true, |word| name.contains(&word))
}
