//! `drawbridge org`: the operator sets up customer orgs on a configured server.

use super::{Exit, FormatArg, Printer};
use std::path::PathBuf;

/// Arguments of `org`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Sub-commands of `org`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Register an org
    Add(Add),
    /// List all orgs
    List(List),
}

/// Arguments of `org add`.
#[derive(Debug, clap::Args)]
pub struct Add {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Its name
    #[arg(long)]
    pub name: String,
    /// Its short name, in lower case
    #[arg(long)]
    pub slug: String,
    /// What it pays for
    #[arg(long, default_value = "standard")]
    pub plan: String,
    /// Whom it belongs to
    #[arg(long, value_name = "EMAIL")]
    pub owner_email: String,
    /// Begin with support access switched off
    #[arg(long)]
    pub no_support_access: bool,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Arguments of `org list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Runs the sub-command.
#[must_use]
pub fn run(args: Args) -> Exit {
    let config = match args.command {
        Command::Add(add) => add.config,
        Command::List(list) => list.config,
    };
    Printer::std().note(format!("org isn't there yet ({})", config.display()));
    Exit::Failed
}
