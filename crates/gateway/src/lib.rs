//! The shell: sockets, time, files, HTTP and the command line around `patchcord-core`.

pub mod app;
pub mod bots;
pub mod caller;
pub mod calls;
pub mod cli;
pub mod clock;
pub mod config;
pub mod doctor;
mod durable;
mod heap;
mod hex;
pub mod http;
pub mod jobs;
pub mod leavings;
mod logging;
pub mod net;
mod open_files;
pub mod recording;
pub mod store;
pub mod tasks;
