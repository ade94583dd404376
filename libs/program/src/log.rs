//! The log of a program.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// How to write the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What is logged unless `RUST_LOG` says otherwise.
const LEVELS: &str = "info";

/// Starts the log on stderr, coloured if that is a terminal. The environment variable `RUST_LOG` says how much is
/// logged, such as "info,extender=debug"; without it, or if it cannot be read, "info".
///
/// A process has one log: it panics if there is one already.
pub fn start_log(format: LogFormat) {
    let (levels, unreadable) = match std::env::var(EnvFilter::DEFAULT_ENV).map(|text| text.parse::<EnvFilter>()) {
        Ok(Ok(levels)) => (levels, None),
        Ok(Err(error)) => (EnvFilter::new(LEVELS), Some(error)),
        Err(_) => (EnvFilter::new(LEVELS), None),
    };
    let log = tracing_subscriber::fmt()
        .with_env_filter(levels)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    if let Some(error) = unreadable {
        tracing::warn!(%error, "RUST_LOG cannot be read; logging {LEVELS}");
    }
}
