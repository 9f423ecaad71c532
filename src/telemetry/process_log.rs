//! The process's own log: what the gateway says about itself, to stderr. Records of libraries (`log` and
//! `tracing`) are bridged from `warn` up; ours follow the configured level.

use crate::domain::Format;
use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts the process log. The first call wins; later ones (tests in one process) change nothing.
pub fn init(level: Level, format: Format) {
    let libraries = if level == Level::ERROR { "error" } else { "warn" };
    let filter = EnvFilter::new(format!("{libraries},drawbridge={level}"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        Format::Json => builder.json().flatten_event(true).finish().try_init(),
        Format::Human => {
            builder.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).finish().try_init()
        }
    };
    if started.is_err() {
        tracing::debug!("the process log was started before");
    }
}
