//! What every command takes, as the user types it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use patchcord_sip::sdp::Protection;

use crate::config::parse_duration;

/// `patchcord serve`.
#[derive(Debug, Clone, Default, Args)]
#[command(before_help = "Example:\n  patchcord serve --config patchcord.toml")]
pub struct ServeArgs {
    /// The configuration; ./patchcord.toml if it exists, else the defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Say where the service listens as one JSON line on stdout
    #[arg(long)]
    pub json: bool,
}

/// `patchcord call`.
#[derive(Debug, Clone, Args)]
#[command(before_help = "Example:\n  patchcord call echo --play hello.wav --dtmf 512@2s --record heard.wav")]
pub struct CallArgs {
    /// A bot's name, ws(s)://… (with --dialect), or sip:… for a real SIP call
    pub target: String,
    /// The language that the other end speaks
    #[arg(long, value_name = "NAME")]
    pub dialect: Option<String>,
    /// The number that calls
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    pub from: String,
    /// The number that is called
    #[arg(long, value_name = "NUMBER", default_value = "2000")]
    pub to: String,
    /// Play this WAV file to the other end
    #[arg(long, value_name = "FILE.wav", conflicts_with = "say_tone")]
    pub play: Option<PathBuf>,
    /// Send a tone; so does a call without --play and --dtmf
    #[arg(long)]
    pub say_tone: bool,
    /// Press keys at a time, as in 512@2s; may be repeated
    #[arg(long, value_name = "KEYS@TIME", value_parser = KeyPresses::parse)]
    pub dtmf: Vec<KeyPresses>,
    /// How long the call lasts
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_duration)]
    pub duration: Duration,
    /// Write stereo WAV: left what we said, right what we heard
    #[arg(long, value_name = "OUT.wav")]
    pub record: Option<PathBuf>,
    /// Encrypt the audio, or give up; alone with sip:…
    #[arg(long)]
    pub srtp: bool,
    /// The configuration that names bots
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

impl CallArgs {
    /// Whether the call's audio is encrypted.
    pub fn protection(&self) -> Protection {
        if self.srtp { Protection::Required } else { Protection::Off }
    }
}

/// `patchcord bot`.
#[derive(Debug, Clone, Args)]
#[command(before_help = "Example:\n  patchcord bot echo --dialect ivr-solutions --listen 127.0.0.1:9001")]
pub struct BotArgs {
    /// The built-in bot: echo, parrot, dtmf, tone or ivr
    pub name: String,
    /// The language it speaks
    #[arg(long, value_name = "NAME", required_unless_present = "like")]
    pub dialect: Option<String>,
    /// Speak as this bot of the configuration does: its dialect, its audio, its mapping
    #[arg(long, value_name = "NAME", conflicts_with = "dialect")]
    pub like: Option<String>,
    /// The configuration that names bots
    #[arg(long, value_name = "FILE", requires = "like")]
    pub config: Option<PathBuf>,
    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9001")]
    pub listen: SocketAddr,
    /// Print what happens as JSON lines
    #[arg(long)]
    pub json: bool,
}

/// `patchcord dialects`.
#[derive(Debug, Clone, Args)]
#[command(before_help = "Example:\n  patchcord dialects smartpbx")]
pub struct DialectsArgs {
    /// One dialect, with its messages
    pub name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `patchcord config`.
#[derive(Debug, Clone, Args)]
#[command(before_help = "Example:\n  patchcord config check --config patchcord.toml")]
pub struct ConfigArgs {
    /// What to do with the configuration
    #[command(subcommand)]
    pub action: ConfigAction,
}

/// What `patchcord config` does.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigAction {
    /// Report every problem at once, with its line and its cure
    #[command(before_help = "Example:\n  patchcord config check --config patchcord.toml")]
    Check(ConfigFileArgs),
    /// Print every key in effect and where it came from, secrets masked
    #[command(before_help = "Example:\n  patchcord config print --json")]
    Print(ConfigFileArgs),
    /// Print the JSON Schema of the configuration, for editors and tools
    #[command(before_help = "Example:\n  patchcord config schema   # into a file: > patchcord.schema.json")]
    Schema(ConfigSchemaArgs),
}

/// What `config schema` takes.
#[derive(Debug, Clone, Args)]
pub struct ConfigSchemaArgs {
    /// Print JSON; a schema always is
    #[arg(long)]
    pub json: bool,
}

/// The file that `config check` and `config print` read.
#[derive(Debug, Clone, Args)]
pub struct ConfigFileArgs {
    /// The configuration; ./patchcord.toml if it exists, else the defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `patchcord doctor`.
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Example:\n  patchcord doctor --config patchcord.toml\n  patchcord doctor --bundle last"
)]
pub struct DoctorArgs {
    /// The configuration; ./patchcord.toml if it exists, else the defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where a server runs, if not at http.listen
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// Pack what is known of a call for support: its id, the beginning of it, or last
    #[arg(long, value_name = "CALL")]
    pub bundle: Option<String>,
    /// Where the archive goes; patchcord-CALL.tar.gz here otherwise
    #[arg(long, value_name = "FILE.tar.gz", requires = "bundle")]
    pub out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `patchcord bench`.
#[derive(Debug, Clone, Args)]
#[command(before_help = "Example:\n  patchcord bench --calls 100 --seconds 30 --dialect ivr-solutions")]
pub struct BenchArgs {
    /// Calls at the same time
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=2000))]
    pub calls: u32,
    /// How long the calls last
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// The language towards the bot
    #[arg(long, value_name = "D", default_value = "ivr-solutions")]
    pub dialect: String,
    /// Print the figures as JSON
    #[arg(long)]
    pub json: bool,
}

/// Keys that are pressed one after the other, from a time after the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPresses {
    /// The keys: `0-9*#A-D`.
    pub digits: String,
    /// When the first is pressed.
    pub at: Duration,
}

impl KeyPresses {
    /// Parses `512@2s`; without a time, at once.
    ///
    /// # Errors
    /// A sentence about a bad key or a bad time.
    pub fn parse(text: &str) -> Result<KeyPresses, String> {
        let (digits, at) = text.split_once('@').unwrap_or((text, "0s"));
        let digits = digits.to_ascii_uppercase();
        if digits.is_empty() || !digits.bytes().all(|b| b"0123456789*#ABCD".contains(&b)) {
            return Err("keys are 0-9, *, # and A-D, as in 512@2s".to_owned());
        }
        Ok(KeyPresses { digits, at: parse_duration(at)? })
    }
}
