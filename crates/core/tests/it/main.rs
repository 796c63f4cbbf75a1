//! Core's integration tests, one binary: talks, laws of all dialects, allocations.

mod allocations;
mod ends;
mod laws;
mod talks;
