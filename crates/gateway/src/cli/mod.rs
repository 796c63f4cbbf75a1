//! The command line: one file a subcommand, each with a `run` that returns an [`Exit`].
//!
//! stdout carries data and stderr carries talk; every command takes `--json`, and every help text begins with
//! an example.

pub mod args;
mod bench;
mod bot;
mod call;
mod callbacks;
mod calls;
mod config;
mod dialects;
mod doctor;
mod exit;
mod remote;
mod serve;
pub mod terminal;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use exit::Exit;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "patchcord",
    version,
    about = "Any phone call to any bot over any WebSocket dialect",
    before_help = "Example:\n  patchcord                 # start on this machine, then call sip:echo@127.0.0.1\n  patchcord call echo       # or call without a phone"
)]
pub struct CommandLine {
    /// The command; without one, `serve`
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the service
    Serve(args::ServeArgs),
    /// Run a built-in bot as a WebSocket server of any dialect
    Bot(args::BotArgs),
    /// Place a call without a phone, and print what it heard
    Call(args::CallArgs),
    /// List, show, end and transfer the calls of a server that runs
    Calls(args::CallsArgs),
    /// List the callbacks of a server that runs, and send them again
    Callbacks(args::CallbacksArgs),
    /// Measure this program under load, on this machine
    Bench(args::BenchArgs),
    /// Check or print the configuration
    Config(args::ConfigArgs),
    /// Look at ports, addresses, bots and the machine, and say what to change where
    Doctor(args::DoctorArgs),
    /// List the WebSocket languages that are spoken
    Dialects(args::DialectsArgs),
}

/// Parses a command line and runs it.
///
/// A command line that makes no sense ends with exit code 2, a request for help with 0.
pub fn run(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    match CommandLine::try_parse_from(words) {
        Ok(line) => dispatch(line).into(),
        Err(error) => {
            // Nobody is left to tell when the terminal itself is gone.
            let _ = error.print();
            if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
        }
    }
}

fn dispatch(line: CommandLine) -> Exit {
    match line.command.unwrap_or(Command::Serve(args::ServeArgs::default())) {
        Command::Serve(args) => serve::run(&args),
        Command::Bot(args) => bot::run(&args),
        Command::Call(args) => call::run(&args),
        Command::Calls(args) => calls::run(&args),
        Command::Callbacks(args) => callbacks::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Config(args) => config::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Dialects(args) => dialects::run(&args),
    }
}
