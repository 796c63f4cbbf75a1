//! The gateway's integration tests, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on should stop")]

mod api;
mod callbacks;
mod caller;
mod causes;
mod commands;
mod config;
mod discretion;
mod doctor;
mod extraction;
mod foreign;
mod hostile;
mod leavings;
mod meter;
mod reload;
mod requirements;
mod serve;
mod store;
mod tidy;
