//! `drawbridge audit`: export a log, and verify one, from wherever it is; run a witness ([`witness`]).
//!
//! `verify` checks and `export` writes; `source` is where a log is read, `remote` a gateway's address of one, `told`
//! what is printed.

mod export;
mod remote;
mod source;
mod told;
mod verify;

use super::{Exit, FormatArg, Printer, run_on_runtime, witness};
use crate::app::StartError;
use crate::audit::export::ExportError;
use crate::audit::tree::LogName;
use crate::audit::verify::{Failure, Fault};
use crate::domain::ids::OrgId;
use std::path::PathBuf;

/// Arguments of `audit`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Sub-commands of `audit`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Check that a log is whole: every entry, every signature, every running number
    #[command(after_help = "Exit codes: 0 every log is OK, 1 one isn't or can't be read, 64 wrong usage.")]
    Verify(verify::Verify),
    /// Write a log into a file that can be verified without the gateway
    Export(export::ExportArgs),
    /// Cosign the checkpoints of somebody else's logs, as long as they only grow
    Witness(witness::Args),
}

/// Which log.
#[derive(Debug, Clone, clap::Args)]
#[group(multiple = false)]
pub struct Which {
    /// The log of this org
    #[arg(long, value_name = "ID", value_parser = org)]
    pub org: Option<OrgId>,
    /// The platform's log
    #[arg(long)]
    pub platform: bool,
}

fn org(text: &str) -> Result<OrgId, String> {
    OrgId::parse(text).map_err(|e| e.to_string())
}

impl Which {
    fn log(&self) -> Option<LogName> {
        if self.platform { Some(LogName::Platform) } else { self.org.clone().map(LogName::Org) }
    }
}

/// How a gateway is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Credential {
    /// Holds the token for --url; without it the environment's `DRAWBRIDGE_TOKEN`
    #[arg(long, value_name = "FILE", requires = "url")]
    pub token_file: Option<PathBuf>,
}

/// Why a command doesn't come to its end.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error("can't use `{}`", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("{0}")]
    Fault(Fault),
    /// The configuration is wrong, and that was said.
    #[error("the configuration can't be used")]
    Said(Exit),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fault(fault) => Self::Fault(fault),
            Failure::Store(error) => Self::Start(StartError::Store(error)),
        }
    }
}

impl Trouble {
    fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

/// Runs the sub-command.
#[must_use]
pub fn run(args: Args, out: &mut Printer) -> Exit {
    match args.command {
        Command::Verify(args) => on_runtime(verify::run(args, out)),
        Command::Export(args) => on_runtime(export::run(args, out)),
        Command::Witness(args) => witness::run(&args, out),
    }
}

/// Runs `work`, and says what went wrong.
fn on_runtime(work: impl Future<Output = Result<Exit, Trouble>>) -> Exit {
    let mut ended = Exit::Ok;
    let started = run_on_runtime(async {
        match work.await {
            Ok(exit) => ended = exit,
            Err(Trouble::Start(error)) => return Err(error),
            Err(Trouble::Usage(text)) => return Err(StartError::Usage(text)),
            Err(Trouble::Said(exit)) => ended = exit,
            Err(error) => {
                Printer::std().note(format!("error: {}", crate::domain::with_causes(&error)));
                ended = Exit::Failed;
            }
        }
        Ok(())
    });
    if started == Exit::Ok { ended } else { started }
}
