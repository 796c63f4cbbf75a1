//! `[server]`: who this server is and where it writes.

use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;

/// The settings of `[server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The name of this server where several report together.
    pub id: String,
    /// The folder for everything that is written.
    pub data_dir: PathBuf,
    /// The account that dialects name to bots.
    pub account: String,
    /// How long a stop waits for running calls.
    pub drain: Duration,
}

impl Server {
    pub(super) fn read(section: &Section<'_>) -> Option<Server> {
        let (id, data_dir) = (section.value("id"), section.value("data_dir"));
        let (account, drain) = (section.value("account"), section.value("drain"));
        Some(Server { id: id?, data_dir: data_dir?, account: account?, drain: drain? })
    }
}
