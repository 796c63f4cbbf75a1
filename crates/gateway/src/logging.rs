//! The log: lines for people on a terminal, JSON elsewhere, on stderr.

use std::io::{self, IsTerminal};

use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::{Levels, Log, LogFormat};

/// The levels of a running log.
#[derive(Debug, Clone)]
pub struct LiveLevels(reload::Handle<EnvFilter, Registry>);

impl LiveLevels {
    /// Logs what `levels` say from here on.
    pub fn set(&self, levels: &Levels) {
        // Without a log there is nothing to change.
        let _ = self.0.reload(EnvFilter::new(levels.as_str()));
    }
}

/// Starts the log; a second start in one process changes nothing.
pub fn start(log: &Log) -> LiveLevels {
    let (filter, levels) = reload::Layer::new(EnvFilter::new(log.level.as_str()));
    let human = match log.format {
        LogFormat::Human => true,
        LogFormat::Json => false,
        LogFormat::Auto => io::stderr().is_terminal(),
    };
    let lines = fmt::layer().with_writer(io::stderr);
    let lines: Box<dyn Layer<_> + Send + Sync> = if human {
        Box::new(lines.with_ansi(io::stderr().is_terminal()).with_target(false))
    } else {
        Box::new(lines.json().flatten_event(true))
    };
    let subscriber = Registry::default().with(filter).with(lines).with(filter_fn(is_discreet));
    let _ = subscriber.try_init();
    LiveLevels(levels)
}

/// Whether a line may be written, whatever level was asked for. Libraries print whole messages and headers
/// when they are asked for much: secrets, numbers, digits and what was said.
fn is_discreet(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().starts_with("patchcord")
}
