//! `drawbridge check`: are this configuration and its policies sound? Binds no port and changes nothing.

use super::{Exit, FormatArg, Printer};
use crate::config::{self, Config, Faults};
use crate::policy::{LoadReport, PolicyEngine, PolicyFolders};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Prints `ok` and what was checked, or every fault with its place.
pub fn run(args: &Args, out: &mut Printer) -> Exit {
    // An empty base leaves relative paths relative to the working folder, also in messages.
    let loaded = config::load(&args.config, Path::new(""));
    if let Ok(config) = &loaded
        && let Err(report) = load_policies(config)
    {
        match args.format {
            FormatArg::Human => out.note(&report.rendered),
            FormatArg::Json => {
                let file = args.config.display().to_string();
                out.data(json!({ "ok": false, "file": file, "policy_faults": report.faults }));
            }
        }
        return Exit::Usage;
    }
    match (loaded, args.format) {
        (Ok(config), FormatArg::Human) => {
            out.data(format!("ok {}", args.config.display()));
            for (what, value) in checked(&config) {
                out.data(format!("  {what:<14} {value}"));
            }
            Exit::Ok
        }
        (Ok(config), FormatArg::Json) => {
            let checked: serde_json::Map<_, _> =
                checked(&config).map(|(what, value)| (what.replace(' ', "_"), Value::from(value))).collect();
            out.data(json!({ "ok": true, "file": args.config.display().to_string(), "checked": checked }));
            Exit::Ok
        }
        (Err(faults), FormatArg::Human) => {
            out.note(faults.render(out.look()));
            let count = faults.list().len();
            out.note(format!(
                "{count} fault{} in {}",
                if count == 1 { "" } else { "s" },
                args.config.display()
            ));
            Exit::Usage
        }
        (Err(faults), FormatArg::Json) => {
            let file = args.config.display().to_string();
            out.data(json!({ "ok": false, "file": file, "faults": as_json(&faults) }));
            Exit::Usage
        }
    }
}

/// A gateway with this configuration would not start on a policy set that is wrong.
fn load_policies(config: &Config) -> Result<PolicyEngine, LoadReport> {
    let (policies, schemas) = (config.policy.policies.clone(), config.policy.schemas.clone());
    PolicyEngine::load(PolicyFolders { policies, schemas })
}

fn as_json(faults: &Faults) -> Vec<Value> {
    let one = |fault: &config::Fault| {
        let (line, column) = faults.position(fault);
        json!({ "line": line, "column": column, "message": fault.message, "label": fault.label, "help": fault.help })
    };
    faults.list().iter().map(one).collect()
}

fn checked(config: &Config) -> impl Iterator<Item = (&'static str, String)> {
    let transport = if config.server.tls.is_some() { "TLS with HTTP/2" } else { "clear text" };
    let access = match &config.log.access {
        config::AccessLogTo::Off => "off".into(),
        config::AccessLogTo::Stderr => "stderr".into(),
        config::AccessLogTo::File(path) => path.display().to_string(),
    };
    [
        ("listen", format!("{} ({transport})", config.server.listen)),
        ("admin listen", config.server.admin_listen.to_string()),
        ("public url", config.server.public_url.to_string()),
        ("upstream", config.upstream.url.to_string()),
        ("data", config.data.dir.display().to_string()),
        ("policies", config.policy.policies.display().to_string()),
        ("schemas", config.policy.schemas.display().to_string()),
        ("access log", access),
    ]
    .into_iter()
}
