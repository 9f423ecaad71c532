//! `drawbridge doctor`: everything that a gateway needs of its records, looked at and explained.

use super::{Exit, FormatArg, Printer, load_config, run_on_runtime};
use crate::app::examine_records;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Prints every check, and for what is wrong what to do; exit code 1 if anything is. Changes nothing.
pub fn run(args: &Args, out: &mut Printer) -> Exit {
    let config = match load_config(&args.config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let mut wrong = 0;
    let exit = run_on_runtime(async {
        let findings = examine_records(&config).await?;
        wrong = findings.iter().filter(|finding| !finding.is_ok()).count();
        match args.format {
            FormatArg::Human => {
                for finding in &findings {
                    let mark = if finding.is_ok() { "ok   " } else { "WRONG" };
                    out.data(format!("{mark} {:<18} {}", finding.check, finding.told));
                    if let Some(to_do) = &finding.to_do {
                        out.data(format!("      {:<18} {to_do}", "to do:"));
                    }
                }
            }
            FormatArg::Json => {
                let checks: Vec<_> = findings
                    .iter()
                    .map(|f| json!({ "check": f.check, "ok": f.is_ok(), "told": f.told, "to_do": f.to_do }))
                    .collect();
                out.data(json!({ "ok": wrong == 0, "checks": checks }));
            }
        }
        Ok(())
    });
    if wrong > 0 { Exit::Failed } else { exit }
}
