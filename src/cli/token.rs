//! `drawbridge token`: the operator issues tokens on a configured server, for scripts and tests that sign nobody in.

use super::{Exit, FormatArg, Printer, operate};
use crate::app::open_access;
use crate::domain::{Millis, rfc3339};
use std::path::PathBuf;

/// Arguments of `token`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Sub-commands of `token`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Issue a token and print it, once
    Issue(Issue),
}

/// Arguments of `token issue`.
#[derive(Debug, clap::Args)]
pub struct Issue {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Whose token.
    #[command(flatten)]
    pub whose: Whose,
    /// The org of the bot, where several have one of that name
    #[arg(long, value_name = "SLUG|ID", requires = "bot")]
    pub org: Option<String>,
    /// How long the token lives, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600, value_parser = clap::value_parser!(u32).range(1..=31_536_000))]
    pub ttl: u32,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Whose token: exactly one of these.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// For a member of staff: an access token of a new platform session
    #[arg(long, value_name = "EMAIL")]
    pub platform_user: Option<String>,
    /// For a person of a customer: an access token of a new session
    #[arg(long, value_name = "EMAIL")]
    pub org_user: Option<String>,
    /// For a bot: an API token
    #[arg(long, value_name = "NAME|ID")]
    pub bot: Option<String>,
}

/// Runs the sub-command.
#[must_use]
pub fn run(args: Args) -> Exit {
    let Command::Issue(issue) = args.command;
    let Issue { config, whose, org, ttl, format } = issue;
    operate(&config, open_access, async move |access| {
        let ttl = Millis::from(ttl) * 1000;
        let issued = match (whose.platform_user, whose.org_user, whose.bot) {
            (Some(email), ..) => access.issue_platform_token(&email, ttl).await?,
            (_, Some(email), _) => access.issue_org_token(&email, ttl).await?,
            (_, _, Some(name)) => {
                let bot = access.find_bot(&name, org.as_deref()).await?;
                access.issue_bot_token(&bot, "operator", ttl).await?
            }
            (None, None, None) => return Ok(()),
        };
        let (token, expires_at) = (issued.token.expose(), rfc3339(issued.expires_at));
        match format {
            FormatArg::Human => {
                Printer::std().note(format!("shown once; counts until {expires_at}"));
                Printer::std().data(token);
            }
            FormatArg::Json => {
                Printer::std().data(serde_json::json!({ "token": token, "expires_at": expires_at }));
            }
        }
        Ok(())
    })
}
