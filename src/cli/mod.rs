//! The command line: the tree of sub-commands and their exit codes. One file per sub-command.
//!
//! Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 denied or different,
//! 64 wrong usage or configuration (`EX_USAGE` of sysexits.h).
//!
//! Main types: [`Exit`], [`Printer`]; entry: [`run`].

pub mod audit;
pub mod check;
pub mod dev;
pub mod doctor;
pub mod keys;
pub mod login;
pub mod migrate;
pub mod org;
pub mod policy;
mod printer;
pub mod serve;
pub mod setup;
pub mod token;
pub mod user;
pub mod witness;

pub use printer::Printer;

use crate::access::{Access, ActError};
use crate::app::StartError;
use crate::audit::AuditWriter;
use crate::config::{self, Config};
use crate::domain::Format;
use clap::{Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// It didn't work; stderr says why.
    Failed = 1,
    /// The answer is no: denied, or not the same.
    Denied = 2,
    /// The command line or the configuration is wrong.
    Usage = 64,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A gateway in front of a customer API: no standing access, every request decided by Cedar, every
/// impersonated request in two logs.
#[derive(Debug, Parser)]
#[command(name = "drawbridge", version, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 1 failed, 2 denied or different, 64 wrong usage or configuration."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The sub-commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything on this machine, with demo data, in front of a demo API or a service of yours
    Dev(dev::Args),
    /// Run the gateway from a configuration file
    Serve(serve::Args),
    /// Make the first platform admin of a configured server
    Setup(setup::Args),
    /// Check a configuration file and say all that is wrong with it
    Check(check::Args),
    /// Look at what a gateway needs of its records: explain what is wrong, and what to do
    Doctor(doctor::Args),
    /// Bring the tables in PostgreSQL up to date
    Migrate(migrate::Args),
    /// Export the logs, and verify them; witness somebody else's
    Audit(Box<audit::Args>),
    /// Check and test policies
    Policy(policy::Args),
    /// Sign in with your browser
    Login(login::Args),
    /// Rotate the keys that sign tokens
    Keys(keys::Args),
    /// Issue tokens on a configured server
    Token(token::Args),
    /// Set up customer orgs on a configured server
    Org(org::Args),
    /// Set up people and bots on a configured server
    User(user::Args),
}

/// Who reads the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// For people
    Human,
    /// JSON, for programs
    Json,
}

impl From<FormatArg> for Format {
    fn from(arg: FormatArg) -> Self {
        match arg {
            FormatArg::Human => Self::Human,
            FormatArg::Json => Self::Json,
        }
    }
}

/// Reads a configuration, or says all that is wrong with it.
fn load_config(file: &Path) -> Result<Config, Exit> {
    config::load(file, Path::new("")).map_err(|faults| {
        let mut printer = Printer::std();
        printer.note(faults.render(printer.look()));
        Exit::Usage
    })
}

/// Prints the identifier of what was set up.
fn print_id(format: FormatArg, id: &str) {
    match format {
        FormatArg::Human => Printer::std().data(id),
        FormatArg::Json => Printer::std().data(serde_json::json!({ "id": id })),
    }
}

/// Runs `work` on a runtime of its own, and says why it failed, with all causes.
fn run_on_runtime(work: impl Future<Output = Result<(), StartError>>) -> Exit {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = match built {
        Ok(runtime) => {
            let result = runtime.block_on(work);
            // What a handler still waits for must not hold the exit up.
            runtime.shutdown_timeout(std::time::Duration::from_millis(500));
            result
        }
        Err(error) => {
            Printer::std().note(format!("error: the runtime can't be started: {error}"));
            return Exit::Failed;
        }
    };
    let Err(error) = result else { return Exit::Ok };
    let mut text = format!("error: {error}");
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(inner) = cause {
        text.push_str(&format!("\n  because: {inner}"));
        cause = inner.source();
    }
    Printer::std().note(text);
    match error {
        StartError::Policy(_) | StartError::Usage(_) => Exit::Usage,
        _ => Exit::Failed,
    }
}

/// An operator's command: opens the records of a configured server and runs `work` on them. `open` is
/// [`crate::app::open_access`], or [`crate::app::open_access_alone`] for a command that takes access away.
fn operate(
    config: &Path,
    open: impl AsyncFnOnce(&Config) -> Result<(Arc<Access>, AuditWriter), StartError>,
    work: impl AsyncFnOnce(Arc<Access>) -> Result<(), ActError>,
) -> Exit {
    let config = match load_config(config) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    run_on_runtime(async move {
        let (access, audit) = open(&config).await?;
        let result = work(access).await;
        audit.drain().await;
        result.map_err(StartError::from)
    })
}

/// Runs the command line `args` (the program's name first).
#[must_use]
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let mut out = Printer::std();
    match Cli::try_parse_from(args) {
        Ok(cli) => match cli.command {
            Command::Dev(args) => dev::run(args),
            Command::Serve(args) => serve::run(&args),
            Command::Setup(args) => setup::run(args),
            Command::Check(args) => check::run(&args, &mut out),
            Command::Doctor(args) => doctor::run(&args, &mut out),
            Command::Migrate(args) => migrate::run(&args, &mut out),
            Command::Audit(args) => audit::run(*args, &mut out),
            Command::Policy(args) => policy::run(args),
            Command::Login(args) => login::run(args),
            Command::Keys(args) => keys::run(args),
            Command::Token(args) => token::run(args),
            Command::Org(args) => org::run(args),
            Command::User(args) => user::run(args),
        },
        Err(error) => {
            // Help and version are data and success; anything else is wrong usage. If the terminal is gone,
            // nobody is left to tell.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            drop(error.print());
            exit
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cli, Command, Exit, run, token};
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_token_is_for_exactly_one() {
        let args = ["drawbridge", "token", "issue", "--config", "x", "--bot", "ci", "--org", "acme"];
        let cli = Cli::try_parse_from(args).unwrap();
        let Command::Token(token::Args { command: token::Command::Issue(issue) }) = cli.command else {
            panic!("{cli:?}")
        };
        assert_eq!((issue.whose.bot.as_deref(), issue.whose.org_user), (Some("ci"), None));
    }

    #[test]
    fn wrong_usage_is_64_and_help_is_not() {
        let exit = |args: &[&str]| run(args.iter().map(Into::into));
        assert_eq!(exit(&["drawbridge", "fly"]), Exit::Usage);
        assert_eq!(exit(&["drawbridge", "check"]), Exit::Usage);
        assert_eq!(exit(&["drawbridge", "dev", "--schema", "x"]), Exit::Usage);
        assert_eq!(exit(&["drawbridge", "dev", "--upstream", "127.0.0.1:9000"]), Exit::Usage);
        assert_eq!(exit(&["drawbridge", "token", "issue", "--config", "x"]), Exit::Usage);
        let two = ["drawbridge", "token", "issue", "--config", "x", "--bot", "a", "--org-user", "b"];
        assert_eq!(exit(&two), Exit::Usage);
        assert_eq!(exit(&["drawbridge", "--version"]), Exit::Ok);
    }
}
