//! `drawbridge serve`: the gateway from a configuration file.

use super::{Exit, Printer};
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
pub fn run(args: Args) -> Exit {
    Printer::std().note(format!("serve isn't there yet ({})", args.config.display()));
    Exit::Failed
}
