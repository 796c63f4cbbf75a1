//! The `patchcord` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    patchcord::net::install_crypto();
    patchcord::cli::run(std::env::args_os())
}
