//! The `patchcord` binary.
fn main() {}
