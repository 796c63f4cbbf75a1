//! `patchcord serve`: the service, from its configuration to its last record.

use std::io;
use std::path::PathBuf;

use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use super::args::ServeArgs;
use super::exit::Exit;
use super::terminal::{Ink, data, paint, talk, tell_problems};
use crate::app::{App, Parts, Places, StartError};
use crate::calls::Exchange;
use crate::config::{self, Changes, Config, Environment, Loaded, Problems};
use crate::logging::{self, LiveLevels};
use crate::tasks::blocking;
use crate::{heap, open_files};

/// Runs `patchcord serve`.
pub fn run(args: &ServeArgs) -> Exit {
    let loaded = match config::load(args.config.as_deref(), &Environment::of_process()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            tell_problems(&problems);
            return Exit::Failed;
        }
    };
    let as_json = args.json;
    let (config, reloading) =
        (loaded.config.clone(), Reloading { file: args.config.clone(), running: loaded });
    run_app(config, Parts::All, Some(reloading), move |config, places| {
        if as_json {
            data(&format!("{}\n", places_as_json(places)));
        } else {
            banner(config, places);
        }
    })
}

/// Starts the parts, says where they listen, and runs until a signal asks for the end; with `reloading`, SIGHUP
/// has its file read again.
pub(super) fn run_app(
    config: Config,
    parts: Parts,
    reloading: Option<Reloading>,
    say: impl FnOnce(&Config, &Places),
) -> Exit {
    heap::limit_arenas();
    let levels = logging::start(&config.log);
    open_files::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(MAIN_THREADS)
        .thread_name("main-worker")
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cannot_start(&error.to_string()),
    };
    let exit = runtime.block_on(async move {
        let (stop, hurry, hang_ups) = match (Signals::new(), Signals::new(), signal(SignalKind::hangup())) {
            (Ok(stop), Ok(hurry), Ok(hang_ups)) => (stop, hurry, hang_ups),
            (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => {
                return cannot_start(&error.to_string());
            }
        };
        let app = match App::start(config, parts).await {
            Ok(app) => app,
            Err(StartError::Listen { key, problem }) => {
                talk(&format!("{}: {}", paint(&key, Ink::Bold), paint(&problem, Ink::Red)));
                talk(&another_place(&key));
                return Exit::Unreachable;
            }
            Err(error) => return cannot_start(&error.to_string()),
        };
        say(&app.exchange().config(), app.places());
        tokio::select! {
            () = stop.one() => {}
            () = reload_at(hang_ups, reloading, app.exchange(), &levels) => {}
        }
        let drain = app.exchange().config().server.drain;
        app.stop(drain, hurry.two()).await;
        Exit::Ok
    });
    runtime.shutdown_background();
    exit
}

/// Reads the file again at every signal, for ever; without a file to read, waits for ever.
async fn reload_at(
    mut hang_ups: tokio::signal::unix::Signal,
    reloading: Option<Reloading>,
    exchange: &Exchange,
    levels: &LiveLevels,
) {
    let Some(mut reloading) = reloading else { return std::future::pending().await };
    while hang_ups.recv().await.is_some() {
        let reader = reloading.clone();
        let Some(read) = blocking(move || reader.again()).await else { continue };
        match read {
            Ok((loaded, changes)) => {
                exchange.reconfigure(loaded.config.clone());
                levels.set(&loaded.config.log.level);
                reloading.running = loaded;
                info!("config reloaded: {changes}");
            }
            Err(problems) => {
                exchange.current.count_refused();
                for problem in &problems.0 {
                    error!("config: {problem}");
                }
                error!(problems = problems.0.len(), "config not reloaded: what was in effect stays");
            }
        }
    }
}

/// What a reload needs to know.
#[derive(Debug, Clone)]
pub(super) struct Reloading {
    /// The file that the command line names.
    file: Option<PathBuf>,
    /// What is in effect.
    running: Loaded,
}

impl Reloading {
    fn again(&self) -> Result<(Loaded, Changes), Problems> {
        self.running.reload(self.file.as_deref(), &Environment::of_process())
    }
}

fn cannot_start(why: &str) -> Exit {
    talk(&paint(&format!("cannot start: {why}"), Ink::Red));
    Exit::Failed
}

/// Where another address is chosen: at an argument, or at a key; keys inside lists have no environment variable.
fn another_place(key: &str) -> String {
    if key.starts_with("--") {
        format!("give {key} another address")
    } else if key.contains('[') {
        format!("set {key} in patchcord.toml to another address")
    } else {
        let variable = format!("PATCHCORD_{}", key.to_uppercase().replace('.', "__"));
        format!("set {key} in patchcord.toml, or {variable}")
    }
}

/// The signals that ask for the end.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn one(mut self) {
        self.next().await;
    }

    /// The second signal: whoever asks twice does not want to wait.
    async fn two(mut self) {
        self.next().await;
        self.next().await;
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Where to look, what to dial, what to type next.
fn banner(config: &Config, places: &Places) {
    let sip = places.sip.first().map(|listen| listen.addr());
    let dial = sip.map_or_else(String::new, |address| match address.port() {
        5060 => address.ip().to_string(),
        _ => address.to_string(),
    });
    talk(&paint(&format!("Patchcord {}", env!("CARGO_PKG_VERSION")), Ink::Bold));
    if let Some(http) = places.http {
        talk(&format!("  look   http://{http}/   talk to a bot: http://{http}/talk"));
        talk(&format!("  dial   sip:echo@{dial}   or parrot, ivr, dtmf, tone in the place of echo"));
        talk(&format!("  bots   vendors connect to ws://{http}/ws or ws://{http}/ws/DIALECT/BOT"));
    }
    for (listener, place) in config.listeners.iter().zip(&places.listeners) {
        if places.listeners.len() <= LISTENERS_SHOWN {
            talk(&format!("  listen ws://{place} = {} for {}", listener.dialect.as_str(), listener.bot));
        }
    }
    talk(&format!("  calls  {}", config.server.data_dir.join("calls.jsonl").display()));
    talk(&format!(
        "  next   patchcord call sip:echo@{dial}   (another terminal)   patchcord dialects   Ctrl-C stops"
    ));
}

fn places_as_json(places: &Places) -> serde_json::Value {
    json!({
        "http": places.http.map(|http| http.to_string()),
        "sip": places.sip.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "listeners": places.listeners.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Threads for SIP, HTTP and records' friends; media has its own.
const MAIN_THREADS: usize = 2;

/// The banner has ten lines at most.
const LISTENERS_SHOWN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_cannot_listen_is_told_where_another_address_is_chosen() {
        assert_eq!(
            another_place("http.listen"),
            "set http.listen in patchcord.toml, or PATCHCORD_HTTP__LISTEN"
        );
        assert_eq!(
            another_place("listeners[1].listen"),
            "set listeners[1].listen in patchcord.toml to another address"
        );
        assert_eq!(another_place("--listen"), "give --listen another address");
    }
}
