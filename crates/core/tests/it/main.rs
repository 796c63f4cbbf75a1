//! Core's integration tests, one binary: talks, laws of all dialects, allocations.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod allocations;
mod call_traces;
mod corpus;
mod ends;
mod laws;
mod line_codecs;
mod talks;
