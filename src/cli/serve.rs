//! `drawbridge serve`: the gateway from a configuration file.

use super::{Exit, load_config, run_on_runtime};
use crate::app::serve;
use std::path::PathBuf;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file; `config/drawbridge.toml` documents every key
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs until told to stop.
#[must_use]
pub fn run(args: &Args) -> Exit {
    let config = match load_config(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    crate::telemetry::process_log::init(config.log.level, config.log.format);
    run_on_runtime(serve(config))
}
