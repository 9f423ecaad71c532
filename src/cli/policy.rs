//! `drawbridge policy …`: checks policy files and runs their expected decisions.

use super::{Exit, FormatArg};
use crate::policy::cases::{self, CasesError, Outcome, Table};
use crate::policy::{LoadReport, PolicyEngine, PolicyFolders};
use clap::Subcommand;
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;

/// Work with policy files, without a gateway.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// Load the files as the gateway would, and say all that is wrong with them.
    ///
    /// Exit codes: 0 they can be put in force, 64 they can't.
    Check(SetArgs),
    /// Run the expected decisions of `*.cases.toml`, and print who may do what.
    ///
    /// Exit codes: 0 every case holds, 1 some don't, 64 the files can't be loaded.
    #[command(after_long_help = CASES_HELP)]
    Test(SetArgs),
}

#[derive(Debug, clap::Args)]
struct SetArgs {
    /// Folder of the policies (`*.cedar`, `*.cases.toml`).
    #[arg(long, value_name = "DIR", default_value = "policies")]
    policies: PathBuf,
    /// Folder of the schemas (`*.cedarschema`).
    #[arg(long, value_name = "DIR", default_value = "schemas")]
    schemas: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value = "human")]
    format: FormatArg,
}

const CASES_HELP: &str = r#"A case, in a file *.cases.toml beside the policies:

  [[case]]
  name = "what it shows"
  as = "impersonation"            # who, or a list: stranger, staff, platform-admin, impersonation,
                                  # viewer, operator, admin, owner, bot:viewer …; @acme (the default) or @globex
  do = ["deleteOrg"]              # an action, or a list
  in = "acme"                     # the org: acme (the default), globex, nowhere
  with = { switched_off = true }  # facts that differ: ended = "…", expired, disabled, inactive, api_token, slot,
                                  # switched_off, org_status, method, path, live_impersonations, reason_length, cause,
                                  # acknowledged, target_is_self, target_is_admin, active_admins
  expect = "OWNER_ONLY"           # permit, or the code of the refusal
  by = ["impersonation-ceiling"]  # exactly the deciding policies
  audit = "dual"                  # optional: none, use, control, dual"#;

/// Runs the sub-command on the process's own stdout and stderr.
#[must_use]
pub fn run(args: Args) -> Exit {
    // A reader that went away (`| head`) is no error of ours; the exit code can't say more.
    args.run(&mut io::stdout().lock(), &mut io::stderr().lock()).unwrap_or(Exit::Failed)
}

impl Args {
    /// Runs the command: data to `out`, faults to `err`.
    ///
    /// # Errors
    /// If `out` or `err` can't be written.
    pub fn run(&self, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
        let (PolicyCommand::Check(set) | PolicyCommand::Test(set)) = &self.command;
        let folders = PolicyFolders { policies: set.policies.clone(), schemas: set.schemas.clone() };
        let engine = match PolicyEngine::load(folders) {
            Ok(engine) => engine,
            Err(report) => return refused(&report, set.format, out, err),
        };
        match &self.command {
            PolicyCommand::Check(_) => check(&engine, set.format, out, err),
            PolicyCommand::Test(_) => test(&engine, set, out, err),
        }
    }
}

fn refused(
    report: &LoadReport,
    format: FormatArg,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    match format {
        FormatArg::Human => {
            write!(err, "{}", report.rendered)?;
            let n = report.faults.len();
            writeln!(err, "{n} fault{}: these files can't be put in force", plural(n))?;
        }
        FormatArg::Json => writeln!(out, "{}", json!({ "ok": false, "faults": report.faults }))?,
    }
    Ok(Exit::Usage)
}

fn check(
    engine: &PolicyEngine,
    format: FormatArg,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let snapshot = engine.snapshot();
    let (policies, actions) = (snapshot.policy_count(), snapshot.actions().len());
    match format {
        FormatArg::Human => {
            for warning in snapshot.warnings() {
                writeln!(err, "note: {warning}")?;
            }
            writeln!(out, "ok: {policies} policies, {actions} actions, hash {}", snapshot.hash())?;
        }
        FormatArg::Json => writeln!(
            out,
            "{}",
            json!({
                "ok": true,
                "hash": &**snapshot.hash(),
                "policies": policies,
                "actions": actions,
                "warnings": snapshot.warnings(),
            })
        )?,
    }
    Ok(Exit::Ok)
}

fn test(engine: &PolicyEngine, set: &SetArgs, out: &mut dyn Write, err: &mut dyn Write) -> io::Result<Exit> {
    let snapshot = engine.snapshot();
    let table = cases::table(&snapshot);
    match cases::run(&snapshot, &set.policies) {
        Ok(outcome) => tested(&outcome, &table, set.format, out, err),
        Err(error) => unreadable(&error, set.format, out, err),
    }
}

fn tested(
    outcome: &Outcome,
    table: &Table,
    format: FormatArg,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    let failed = outcome.failures.len();
    match format {
        FormatArg::Human => {
            writeln!(out, "{table}")?;
            for failure in &outcome.failures {
                writeln!(err, "{failure}")?;
            }
            writeln!(out, "{} decisions expected, {failed} different", outcome.asked)?;
        }
        FormatArg::Json => writeln!(
            out,
            "{}",
            json!({ "ok": failed == 0, "asked": outcome.asked, "failures": outcome.failures, "table": table })
        )?,
    }
    Ok(if failed == 0 { Exit::Ok } else { Exit::Failed })
}

fn unreadable(
    error: &CasesError,
    format: FormatArg,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> io::Result<Exit> {
    match format {
        FormatArg::Human => writeln!(err, "{error}")?,
        FormatArg::Json => writeln!(out, "{}", json!({ "ok": false, "faults": [error.to_string()] }))?,
    }
    Ok(Exit::Usage)
}

fn plural(n: usize) -> &'static str {
    if n == 1 { "" } else { "s" }
}
