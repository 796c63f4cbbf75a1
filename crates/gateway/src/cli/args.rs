//! What every command takes, as the user types it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};
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

/// `patchcord calls`.
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Example:\n  patchcord calls list --status in-progress\n  patchcord calls hangup call_1707204900000_0123456789abcdef01234567"
)]
pub struct CallsArgs {
    /// What to do with the calls of a server that runs
    #[command(subcommand)]
    pub action: CallsAction,
}

/// What `patchcord calls` does.
#[derive(Debug, Clone, Subcommand)]
pub enum CallsAction {
    /// List calls, newest first
    #[command(before_help = "Example:\n  patchcord calls list --status in-progress")]
    List(CallsListArgs),
    /// Show one call
    #[command(before_help = "Example:\n  patchcord calls show call_1707204900000_0123456789abcdef01234567")]
    Show(CallsShowArgs),
    /// End a call
    #[command(before_help = "Example:\n  patchcord calls hangup call_1707204900000_0123456789abcdef01234567")]
    Hangup(CallsShowArgs),
    /// Give a call to somebody else
    #[command(
        before_help = "Example:\n  patchcord calls transfer call_1707204900000_0123456789abcdef01234567 --to 09876543210"
    )]
    Transfer(CallsTransferArgs),
    /// Show what was taken from a call's conversation
    #[command(before_help = "Example:\n  patchcord calls fields call_1707204900000_0123456789abcdef01234567")]
    Fields(CallsShowArgs),
    /// Take the fields from a call's conversation once more, and tell its webhook
    #[command(
        before_help = "Example:\n  patchcord calls extract call_1707204900000_0123456789abcdef01234567"
    )]
    Extract(CallsShowArgs),
    /// List the extractions of whole calls, newest first
    #[command(before_help = "Example:\n  patchcord calls extractions --state dead")]
    Extractions(CallsExtractionsArgs),
}

/// Which server, and how to print.
#[derive(Debug, Clone, Args)]
pub struct CallsServer {
    /// Where the server runs, if not at http.listen of the configuration
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
    /// A key of its API; of the configuration otherwise
    #[arg(long, value_name = "KEY", env = "PATCHCORD_KEY", hide_env_values = true)]
    pub key: Option<String>,
    /// The configuration; ./patchcord.toml if it exists, else the defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `patchcord calls list`.
#[derive(Debug, Clone, Args)]
pub struct CallsListArgs {
    /// In that status: initiated, ringing, in-progress, completed, busy, no-answer, failed, canceled
    #[arg(long, value_name = "STATUS")]
    pub status: Option<String>,
    /// From that number
    #[arg(long, value_name = "NUMBER")]
    pub from: Option<String>,
    /// To that number
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<String>,
    /// With that bot
    #[arg(long, value_name = "NAME")]
    pub bot: Option<String>,
    /// Begun then or later, as in 2024-02-06T07:15:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Which server, and how to print
    #[command(flatten)]
    pub server: CallsServer,
}

/// `patchcord calls extractions`.
#[derive(Debug, Clone, Args)]
pub struct CallsExtractionsArgs {
    /// In that state: pending, done, dead, off
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Which server, and how to print
    #[command(flatten)]
    pub server: CallsServer,
}

/// `patchcord calls show`, `hangup`, `fields` and `extract`.
#[derive(Debug, Clone, Args)]
pub struct CallsShowArgs {
    /// The call's id
    #[arg(value_name = "CALL")]
    pub call: String,
    /// Which server, and how to print
    #[command(flatten)]
    pub server: CallsServer,
}

/// `patchcord calls transfer`.
#[derive(Debug, Clone, Args)]
#[command(group(ArgGroup::new("target").required(true).args(["to", "extension", "flow", "bot", "url"])))]
pub struct CallsTransferArgs {
    /// The call's id
    #[arg(value_name = "CALL")]
    pub call: String,
    /// A telephone number; several ring all at once
    #[arg(long, value_name = "NUMBER")]
    pub to: Vec<String>,
    /// Try several numbers one after the other
    #[arg(long, requires = "to")]
    pub sequential: bool,
    /// An extension
    #[arg(long, value_name = "NUMBER")]
    pub extension: Option<String>,
    /// A flow
    #[arg(long, value_name = "NAME")]
    pub flow: Option<String>,
    /// A bot of the configuration
    #[arg(long, value_name = "NAME")]
    pub bot: Option<String>,
    /// Another bot's address
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Which server, and how to print
    #[command(flatten)]
    pub server: CallsServer,
}

/// `patchcord callbacks`.
#[derive(Debug, Clone, Args)]
#[command(
    before_help = "Example:\n  patchcord callbacks list --state dead\n  patchcord callbacks replay evt_0123456789abcdef"
)]
pub struct CallbacksArgs {
    /// What to do with the callbacks of a server that runs
    #[command(subcommand)]
    pub action: CallbacksAction,
}

/// What `patchcord callbacks` does.
#[derive(Debug, Clone, Subcommand)]
pub enum CallbacksAction {
    /// List callbacks, newest first
    #[command(before_help = "Example:\n  patchcord callbacks list --state dead")]
    List(CallbacksListArgs),
    /// Send one again, under its own id
    #[command(before_help = "Example:\n  patchcord callbacks replay evt_0123456789abcdef")]
    Replay(CallbacksReplayArgs),
}

/// `patchcord callbacks list`.
#[derive(Debug, Clone, Args)]
pub struct CallbacksListArgs {
    /// In that state: pending, delivered, dead
    #[arg(long, value_name = "STATE")]
    pub state: Option<String>,
    /// Of that kind: callback, webhook
    #[arg(long, value_name = "KIND")]
    pub kind: Option<String>,
    /// Of that call
    #[arg(long, value_name = "CALL")]
    pub call: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    pub limit: u32,
    /// Which server, and how to print
    #[command(flatten)]
    pub server: CallsServer,
}

/// `patchcord callbacks replay`.
#[derive(Debug, Clone, Args)]
pub struct CallbacksReplayArgs {
    /// The event's id
    #[arg(value_name = "EVENT")]
    pub event: String,
    /// Which server, and how to print
    #[command(flatten)]
    pub server: CallsServer,
}

impl CallsTransferArgs {
    /// What the API is told.
    pub fn wish(&self) -> serde_json::Value {
        match (&self.extension, &self.flow, &self.bot, &self.url) {
            (Some(extension), ..) => serde_json::json!({ "extension": extension }),
            (_, Some(flow), ..) => serde_json::json!({ "flow_id": flow }),
            (_, _, Some(bot), _) => serde_json::json!({ "bot": bot }),
            (.., Some(url)) => serde_json::json!({ "url": url }),
            _ if self.sequential => serde_json::json!({ "destination": self.to, "strategy": "sequential" }),
            _ => serde_json::json!({ "destination": self.to }),
        }
    }
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
