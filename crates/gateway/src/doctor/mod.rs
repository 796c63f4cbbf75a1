//! What a machine and a configuration lack for calls: each check says what it found and what to change where.
//!
//! It changes nothing and starts no call: ports are opened and closed, names resolved, bots greeted and left.

mod addresses;
mod archive;
mod bundle;
mod machine;
mod masking;
mod ports;
mod recorded;
mod remote;
mod trunks;

use std::path::PathBuf;

pub use archive::{Text, write as write_archive};
pub use bundle::{Bundle, BundleError, collect};
use serde_json::{Value, json};

use crate::config::{Config, Environment, Problems, WebUrl, load};
use crate::net::Egress;
use crate::tasks::Tasks;

/// What is to be examined.
#[derive(Debug, Clone)]
pub struct Examination {
    /// The file, as `serve` takes it.
    pub file: Option<PathBuf>,
    /// The variables that override it.
    pub environment: Environment,
    /// Where a server runs, if it is not where the file says.
    pub server: Option<WebUrl>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What it is about, a word: `ports`, `bots`.
    pub area: &'static str,
    /// What of it: a key, a bot's name.
    pub subject: String,
    /// How it stands.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What to change, and where.
    pub cure: Option<String>,
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing to do.
    Ok,
    /// Calls work, but not all, or not well.
    Warn,
    /// Calls do not work.
    Fail,
}

/// All checks, in the order of areas.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
    /// The server that answers, if one does.
    pub server: Option<String>,
    /// A server was named, and does not answer.
    pub is_server_missing: bool,
}

/// Does every check.
pub async fn examine(examination: &Examination, tasks: Tasks) -> Report {
    let egress = Egress::new(tasks);
    let mut report = Report { checks: machine::version(), ..Report::default() };
    let loaded = load(examination.file.as_deref(), &examination.environment);
    report.checks.push(configuration(&loaded));
    let is_right = loaded.is_ok();
    let config = loaded.map_or_else(|_| Config::default_serve(), |loaded| loaded.config);
    let url = match &examination.server {
        Some(url) => Some(url.clone()),
        None => config.http.local_url(),
    };
    let found = match &url {
        Some(url) => remote::server(url, &egress, &config, examination.server.is_some()).await,
        None => remote::Found::nobody("http.listen", "its port is drawn at the start"),
    };
    report.is_server_missing = examination.server.is_some() && !found.is_running;
    report.server = url.filter(|_| found.is_running).map(|url| url.to_string());
    let is_running = found.is_running;
    report.checks.extend(found.checks);
    if is_right {
        report.checks.extend(ports::all(&config, is_running).await);
        report.checks.extend(addresses::all(&config));
        let page = match (&report.server, is_running) {
            (Some(server), true) => remote::metrics(server, &config, &egress).await,
            _ => None,
        };
        report.checks.extend(trunks::all(&config, page.as_deref()).await);
        report.checks.extend(remote::bots(&config, &egress).await);
        report.checks.extend(remote::config_apis(&config, &egress).await);
    }
    report.checks.extend(machine::all(&config));
    report
}

fn configuration(loaded: &Result<crate::config::Loaded, Problems>) -> Check {
    let about =
        |file: Option<&PathBuf>| file.map_or_else(|| "no file".to_owned(), |file| file.display().to_string());
    match loaded {
        Ok(loaded) => {
            let Config { numbers, bots, listeners, .. } = &loaded.config;
            let counts = [(numbers.len(), "number"), (bots.len(), "bot"), (listeners.len(), "listener")];
            let counts =
                counts.map(|(count, noun)| format!("{count} {noun}{}", if count == 1 { "" } else { "s" }));
            Check::ok("config", about(loaded.file.as_ref()), format!("right: {}", counts.join(", ")))
        }
        Err(problems) => {
            let first = problems.0.first().map(|problem| problem.place.to_string()).unwrap_or_default();
            let count = problems.0.len();
            let noun = if count == 1 { "problem" } else { "problems" };
            let found = format!("{count} {noun}, the first at {first}; ports and bots were not looked at");
            Check::fail("config", "file", found, "patchcord config check tells each with its cure")
        }
    }
}

impl Check {
    /// Nothing to do.
    fn ok(area: &'static str, subject: impl Into<String>, found: impl Into<String>) -> Self {
        let (subject, found) = (subject.into(), found.into());
        Self { area, subject, verdict: Verdict::Ok, found, cure: None }
    }

    /// Calls work, but not all, or not well.
    fn warn(
        area: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Warn, cure: Some(cure.into()), ..Self::ok(area, subject, found) }
    }

    /// Calls do not work.
    fn fail(
        area: &'static str,
        subject: impl Into<String>,
        found: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self { verdict: Verdict::Fail, ..Self::warn(area, subject, found, cure) }
    }

    fn as_json(&self) -> Value {
        json!({
            "area": self.area,
            "subject": self.subject,
            "verdict": self.verdict.word(),
            "found": self.found,
            "cure": self.cure,
        })
    }
}

impl Verdict {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }
}

impl Report {
    /// How many checks came out so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks.iter().filter(|check| check.verdict == verdict).count()
    }

    /// The report for programs.
    pub fn as_json(&self) -> Value {
        json!({
            "ok": self.count(Verdict::Fail) == 0,
            "version": env!("CARGO_PKG_VERSION"),
            "server": self.server,
            "checks": self.checks.iter().map(Check::as_json).collect::<Vec<_>>(),
        })
    }
}
