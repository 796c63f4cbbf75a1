//! The configuration: one TOML file, environment overrides, and every problem of both at once.
//!
//! A load builds a tree that knows where each value was written (`tree`), fills in `${…}` (`substitute`),
//! imports and overrides, checks the names (`known`) against the one declaration of every key (`keys`), and
//! reads the tree into the types below, one file a concern. Nothing else in the program reads the
//! environment or holds settings in globals.

mod addresses;
mod agent;
mod audio;
mod bots;
mod callbacks;
mod changes;
mod config_answer;
mod config_api;
mod contradictions;
mod country;
mod current;
mod declaration;
mod described_bot;
mod dialect_names;
mod egress;
mod environment;
mod extensions;
mod extraction_answer;
mod extraction_schema;
mod flows;
mod headers;
mod http;
mod http_keys;
mod import;
mod ivr;
pub mod keys;
mod known;
mod listeners;
mod log;
mod mapping;
mod network;
mod numbers;
mod otel;
mod outbound;
mod print;
mod problem;
mod recording;
mod reload;
mod s3;
mod schema;
mod secret;
mod section;
mod server;
mod sip;
mod sip_headers;
mod storage;
mod substitute;
mod transfers;
mod tree;
mod trunks;
mod url;
mod vendor_port;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use patchcord_core::flow::FlowBook;

pub use agent::{AgentLimits, AgentSettings, Extract, HttpTool, OPENAI_REALTIME, ObjectSchema, Webhook};
pub use bots::{Bot, BuiltInBot};
pub use callbacks::{Callbacks, RetryProfile};
pub use changes::Changes;
pub use config_answer::{AnsweredBot, BadAnswer, ConfigAnswer};
pub use config_api::{CONFIG_API_BOT, ConfigApi};
pub use country::CountryCode;
pub use current::{CurrentConfig, Reloads};
pub use described_bot::{DescribedBot, WrongField};
pub use dialect_names::DialectName;
pub use egress::Egress;
pub use environment::Environment;
pub use extensions::Extension;
pub use extraction_answer::unfenced;
pub use extraction_schema::{ExtractionSchema, Misfit};
pub use flows::CallQueue;
pub use headers::check as check_header;
pub use http::{Http, HttpTlsFiles};
pub use http_keys::{ApiKey, Role};
pub use ivr::IvrMenu;
pub use listeners::Listener;
pub use log::{Levels, Log, LogFormat};
pub use mapping::CUSTOM;
pub use network::{Network, admits};
pub use numbers::{Fallback, Number, NumberPattern, Taker};
pub use otel::Otel;
pub use outbound::{Outbound, OutboundFallback, RING_MAX, is_dialable};
pub use print::{ShownKey, to_toml};
pub use problem::{Place, Problem, Problems, Refusal};
pub use recording::{
    ConsentClip, NumberRecording, Recording, RecordingFormat, RecordingPlace, RecordingSettings,
    RecordingWish,
};
pub use s3::S3;
pub use schema::json_schema;
pub use secret::Secret;
pub use section::parse_duration;
pub use server::Server;
pub use sip::{ExternalIp, PhoneCodec, RtpPorts, Sip, SipListen, SipTlsFiles, SipTransport};
pub use sip_headers::HeaderPattern;
pub use storage::{Database, Storage};
pub use transfers::Transfers;
pub use trunks::{Account, Carrier, DialRules, OutboundProxy, Trunk, TrunkLimits};
pub use url::{BotUrl, Url, UrlKind, WebUrl};
pub use vendor_port::{VendorAccess, VendorSource};

use addresses::{Socket, Taken};
use flows::Around;
use numbers::Takers;
use problem::Report;
use section::Section;
use substitute::Lookup;
use tree::Table;

/// A whole configuration, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Who this server is.
    pub server: Server,
    /// What is logged.
    pub log: Log,
    /// The HTTP port.
    pub http: Http,
    /// The phone side.
    pub sip: Sip,
    /// The carriers, preferred first.
    pub trunks: Vec<Trunk>,
    /// The phones that register here.
    pub extensions: Vec<Extension>,
    /// What holds for all calls that we place.
    pub outbound: Outbound,
    /// How calls are given to people.
    pub transfers: Transfers,
    /// Which bot takes which number, first match first.
    pub numbers: Vec<Number>,
    /// The remote bots.
    pub bots: Vec<Bot>,
    /// The menu of the built-in bot `ivr`.
    pub ivr: IvrMenu,
    /// The flows.
    pub flows: Arc<FlowBook>,
    /// The queues of the flows.
    pub queues: Vec<CallQueue>,
    /// Ports for vendors that dial us.
    pub listeners: Vec<Listener>,
    /// Where calls are kept.
    pub storage: Storage,
    /// What is recorded, as what, and for how long.
    pub recording: Recording,
    /// Where URLs from outside may lead.
    pub egress: Egress,
    /// Where calls are told of.
    pub callbacks: Callbacks,
    /// Where traces of calls go, if anywhere.
    pub otel: Option<Otel>,
}

/// A bot that a name leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BotChoice<'a> {
    /// One of this program's own.
    BuiltIn(BuiltInBot),
    /// A remote one.
    Remote(&'a Bot),
}

/// A configuration with its history: what `config print` shows.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// Every key in effect with its place, secrets masked.
    pub shown: Vec<ShownKey>,
    /// What was read, for a reload to compare with.
    root: Tree,
}

/// A tree that does not print: it holds secrets.
#[derive(Clone)]
struct Tree(Table);

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tree")
    }
}

impl Config {
    /// What `patchcord serve` does with no file and no environment.
    pub fn default_serve() -> Config {
        match Config::parse("") {
            Ok(config) => config,
            Err(problems) => unreachable!("the declared defaults are refused: {problems}"),
        }
    }

    /// Reads a configuration from its text, without environment.
    ///
    /// # Errors
    /// Every problem of the text.
    pub fn parse(text: &str) -> Result<Config, Problems> {
        let source =
            Source { text, name: FILE_NAME, folder: Path::new("."), environment: &Environment::default() };
        source.load().map(|loaded| loaded.config)
    }

    /// The bot of this name.
    pub fn find_bot(&self, name: &str) -> Option<BotChoice<'_>> {
        match BuiltInBot::find(name) {
            Some(bot) => Some(BotChoice::BuiltIn(bot)),
            None => self.bots.iter().find(|bot| bot.name == name).map(BotChoice::Remote),
        }
    }

    /// The database for calls, events and deliveries.
    pub fn database(&self) -> Database {
        self.storage.database.clone().unwrap_or_else(|| Database::in_folder(&self.server.data_dir))
    }

    /// The folder in which recordings are written.
    pub fn recordings(&self) -> PathBuf {
        let folder = self.recording.place.folder.as_ref();
        folder.map_or_else(|| self.server.data_dir.join(recording::FOLDER), Clone::clone)
    }

    /// Where the status of calls to `number` is posted, if they are taken and somebody wants to know.
    pub fn callbacks_of(&self, number: &str) -> Option<&WebUrl> {
        let entry = self.find_number(number).filter(|_| !number.is_empty())?;
        entry.callbacks.as_ref().or(self.callbacks.url.as_ref())
    }

    /// The entry of `[[numbers]]` that takes calls to `number`.
    pub fn find_number(&self, number: &str) -> Option<&Number> {
        self.numbers.iter().find(|entry| entry.number.matches(number))
    }

    /// The trunk that calls from `address`; the first counts.
    pub fn find_trunk(&self, address: IpAddr) -> Option<&Trunk> {
        self.trunks.iter().find(|trunk| trunk.owns(address))
    }

    /// The extension of this number.
    pub fn find_extension(&self, number: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.number == number)
    }

    /// Whether a phone or carrier at `address` may call.
    pub fn admits_caller(&self, address: IpAddr) -> bool {
        self.sip.admits(address) || self.find_trunk(address).is_some()
    }

    /// Reads the whole; the paths of clips start at `folder`.
    fn read(root: &Section<'_>, folder: &Path) -> Option<Config> {
        let bot_sections = root.named_sections("bots");
        let mut names: Vec<&str> = BuiltInBot::ALL.iter().map(|bot| bot.as_str()).collect();
        names.extend(
            bot_sections.iter().map(|(name, _)| *name).filter(|name| BuiltInBot::find(name).is_none()),
        );
        let flow_sections = root.named_sections("flows");
        let flow_names: Vec<&str> = flow_sections.iter().map(|(name, _)| *name).collect();
        let number_sections = root.list_of_sections("numbers");
        let bots: Vec<_> = bot_sections.iter().map(|(name, section)| Bot::read(name, section)).collect();
        let listener_sections = root.list_of_sections("listeners");
        let ivr = IvrMenu::read(&root.section("ivr"), &names);
        let (server, log) = (Server::read(&root.section("server")), Log::read(&root.section("log")));
        let http_section = root.section("http");
        let http = Http::read(&http_section, &names);
        let behind_proxy = http.as_ref().is_some_and(|http| http.behind_proxy);
        let listeners: Vec<_> =
            listener_sections.iter().map(|section| Listener::read(section, &names, behind_proxy)).collect();
        let sip_section = root.section("sip");
        let trunk_sections = root.list_of_sections("trunks");
        let trunks: Vec<_> = trunk_sections.iter().map(Trunk::read).collect();
        trunks::check_order(&trunk_sections, &trunks);
        let extension_sections = root.list_of_sections("extensions");
        let extensions: Vec<_> = extension_sections.iter().map(Extension::read).collect();
        extensions::check_order(&extension_sections, &extensions);
        let own = extensions.iter().flatten().map(|extension| extension.number.as_str());
        let own: Vec<&str> = own.collect();
        let takers = Takers { bots: &names, flows: &flow_names, extensions: &own };
        let numbers: Vec<_> = number_sections.iter().map(|section| Number::read(section, &takers)).collect();
        numbers::check_order(&number_sections, &numbers);
        let around = Around { bots: &names, extensions: &extensions, trunks: &trunks };
        let flows = flows::read(root, &around, folder);
        let sip = Sip::read(&sip_section, !trunks.is_empty() || !extensions.is_empty());
        trunks::check_sockets(&trunk_sections, &trunks, sip.as_ref());
        let storage = Storage::read(&root.section("storage"));
        let outbound = Outbound::read(&root.section("outbound"));
        let transfers = Transfers::read(&root.section("transfers"));
        let (otel, egress) = (Otel::read(&root.section("otel")), Egress::read(&root.section("egress")));
        let recording = Recording::read(&root.section("recording"), &root.section("storage"));
        let callbacks = Callbacks::read(&root.section("callbacks"));
        let mut taken = Taken::default();
        taken.extend(http.iter().map(|http| Socket::tcp(http.listen, &http_section, "listen")));
        taken.extend(sip.iter().flat_map(|sip| sip.sockets(&sip_section)));
        let listening = listener_sections.iter().zip(&listeners);
        taken.extend(listening.filter_map(|(section, listener)| {
            listener.as_ref().map(|listener| Socket::tcp(listener.listen, section, "listen"))
        }));
        let (flows, queues) = flows?;
        Some(Config {
            server: server?,
            log: log?,
            http: http?,
            sip: sip?,
            trunks: trunks.into_iter().collect::<Option<_>>()?,
            extensions: extensions.into_iter().collect::<Option<_>>()?,
            numbers: numbers.into_iter().collect::<Option<_>>()?,
            bots: bots.into_iter().collect::<Option<_>>()?,
            outbound: outbound?,
            transfers: transfers?,
            ivr,
            flows,
            queues,
            listeners: listeners.into_iter().collect::<Option<_>>()?,
            storage,
            recording: recording?,
            egress: egress?,
            callbacks: callbacks?,
            otel: otel?,
        })
    }
}

/// Loads `file`, or `./patchcord.toml` if there is one, or the defaults; `environment` overrides keys.
///
/// # Errors
/// Every problem of the file and of the environment, with place and cure.
pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Loaded, Problems> {
    let path = match file {
        Some(path) => path,
        None if Path::new(FILE_NAME).exists() => Path::new(FILE_NAME),
        None => return Source { text: "", name: FILE_NAME, folder: Path::new("."), environment }.load(),
    };
    let name = path.display().to_string();
    let text = read_file(path).map_err(|what| {
        let cure = "name a TOML file with --config FILE".to_owned();
        let place = Place::Import(Arc::from(name.as_str()));
        Problems(vec![Problem { key: String::new(), place, what, cure, did_you_mean: None }])
    })?;
    let folder = folder_of(path);
    let loaded = Source { text: &text, name: &name, folder, environment }.load()?;
    Ok(Loaded { file: Some(path.to_owned()), ..loaded })
}

/// Everything that a load depends on.
struct Source<'a> {
    text: &'a str,
    name: &'a str,
    folder: &'a Path,
    environment: &'a Environment,
}

impl Source<'_> {
    fn load(&self) -> Result<Loaded, Problems> {
        let report = Report::default();
        let mut root = tree::parse_toml(self.text, &Arc::from(self.name), &report);
        known::check(&root, "", "", &report);
        Lookup { environment: self.environment, folder: self.folder }.apply(&mut root, "", &report);
        self.environment.apply(&mut root, &report);
        import::apply(&mut root, self.folder, &report);
        recording::resolve_paths(&mut root, self.folder);
        finish(root, self.folder, report)
    }
}

/// Reads a tree that was found good before, with some of its values exchanged.
fn read(root: Table, folder: &Path) -> Result<Loaded, Problems> {
    finish(root, folder, Report::default())
}

fn finish(root: Table, folder: &Path, report: Report) -> Result<Loaded, Problems> {
    let config = Config::read(&Section::root(&root, &report), folder);
    match (report.into_problems(), config) {
        (None, Some(config)) => {
            Ok(Loaded { config, file: None, shown: print::effective(&root), root: Tree(root) })
        }
        (Some(problems), _) => Err(problems),
        (None, None) => unreachable!("a reader gave up without saying why"),
    }
}

/// Where the paths in the file at `path` start.
fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("."))
}

fn read_file(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err("has more than 1 MiB".to_owned());
    }
    std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))
}

/// The file that is read when none is named.
const FILE_NAME: &str = "patchcord.toml";
/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;
