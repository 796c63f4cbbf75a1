//! The shell: sockets, time, files, HTTP and the command line around `patchcord-core`.

pub mod cli;
pub mod config;
