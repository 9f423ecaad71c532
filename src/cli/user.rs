//! `drawbridge user`: the operator sets up people and bots on a configured server.

use super::{Exit, FormatArg, Printer};
use clap::ValueEnum;
use std::path::PathBuf;

/// Arguments of `user`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Sub-commands of `user`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add a member of staff
    AddPlatform(AddPlatform),
    /// Add a person to an org
    AddOrgUser(AddOrgUser),
    /// Add a bot to an org
    AddBot(AddBot),
    /// List members of staff, or the people and bots of an org
    List(List),
}

/// What a member of staff may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PlatformRole {
    /// May also administer the platform
    PlatformAdmin,
    /// Site reliability
    Sre,
    /// Support
    Support,
    /// Engineering
    Engineer,
}

/// What a person or bot may be in an org.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OrgRoleArg {
    /// All, and it is theirs
    Owner,
    /// All but what is the owner's
    Admin,
    /// Read and write
    Operator,
    /// Read
    Viewer,
}

/// Arguments of `user add-platform`.
#[derive(Debug, clap::Args)]
pub struct AddPlatform {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Their address
    #[arg(long)]
    pub email: String,
    /// Their name
    #[arg(long, value_name = "NAME")]
    pub display_name: String,
    /// What they are; may be given several times
    #[arg(long = "role", value_enum, required = true)]
    pub roles: Vec<PlatformRole>,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Arguments of `user add-org-user`.
#[derive(Debug, clap::Args)]
pub struct AddOrgUser {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The org
    #[arg(long, value_name = "SLUG|ID")]
    pub org: String,
    /// Their address
    #[arg(long)]
    pub email: String,
    /// Their name
    #[arg(long, value_name = "NAME")]
    pub display_name: String,
    /// What they are in the org
    #[arg(long, value_enum)]
    pub role: OrgRoleArg,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Arguments of `user add-bot`.
#[derive(Debug, clap::Args)]
pub struct AddBot {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The org
    #[arg(long, value_name = "SLUG|ID")]
    pub org: String,
    /// Its name
    #[arg(long)]
    pub name: String,
    /// What it is in the org
    #[arg(long, value_enum)]
    pub role: OrgRoleArg,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Arguments of `user list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Whose people; without it, members of staff
    #[arg(long, value_name = "SLUG|ID")]
    pub org: Option<String>,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Runs the sub-command.
#[must_use]
pub fn run(args: Args) -> Exit {
    let config = match args.command {
        Command::AddPlatform(add) => add.config,
        Command::AddOrgUser(add) => add.config,
        Command::AddBot(add) => add.config,
        Command::List(list) => list.config,
    };
    Printer::std().note(format!("user isn't there yet ({})", config.display()));
    Exit::Failed
}
