//! `drawbridge migrate`: PostgreSQL's tables brought up to date, as their owner. Gateways only look whether they are.

use super::{Exit, FormatArg, Printer, load_config, run_on_runtime};
use crate::app::migrate_database;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file, with `url` and `owner_url` in [database]
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Applies what is missing and grants what gateways need; done again it changes nothing.
pub fn run(args: &Args, out: &mut Printer) -> Exit {
    let config = match load_config(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    run_on_runtime(async {
        let done = migrate_database(&config).await?;
        match args.format {
            FormatArg::Human => out.data(format!(
                "ok: {} applied, version {}; `{}` has what gateways need",
                done.applied, done.version, done.role
            )),
            FormatArg::Json => {
                out.data(json!({ "applied": done.applied, "version": done.version, "role": done.role }));
            }
        }
        Ok(())
    })
}
