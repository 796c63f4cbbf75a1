//! Core's integration tests, one binary: talks, laws of all dialects, allocations.

mod talks;
