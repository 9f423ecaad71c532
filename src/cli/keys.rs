//! `drawbridge keys`: the keys that sign tokens.

use super::{Exit, FormatArg, Printer, operate};
use crate::app::open_access;
use crate::domain::rfc3339;
use crate::identity::Rotation;
use std::path::PathBuf;

/// Arguments of `keys`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Sub-commands of `keys`.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make the next signing keys; gateways that run take them up by themselves
    Rotate(Rotate),
}

/// Arguments of `keys rotate`.
#[derive(Debug, clap::Args)]
pub struct Rotate {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Sign with them at once, and not only after everybody had time to fetch them
    #[arg(long)]
    pub now: bool,
    /// Somebody else has the old keys: refuse what they signed, which signs everybody out. Implies --now
    #[arg(long)]
    pub forget_old: bool,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Runs the sub-command.
#[must_use]
pub fn run(args: Args) -> Exit {
    let Command::Rotate(Rotate { config, now, forget_old, format }) = args.command;
    operate(&config, open_access, async move |access| {
        let rotated = access.rotate_keys(Rotation { now, forget_old }).await?;
        let (from, until) = (rfc3339(rotated.signs_from), rfc3339(rotated.old_until));
        match format {
            FormatArg::Human => {
                Printer::std()
                    .note(format!("they sign from {from}; those before them are served until {until}"));
                for (algorithm, kid) in &rotated.keys {
                    Printer::std().data(format!("{}  {kid}", algorithm.as_str()));
                }
            }
            FormatArg::Json => {
                let keys: Vec<_> = rotated
                    .keys
                    .iter()
                    .map(|(algorithm, kid)| serde_json::json!({ "alg": algorithm.as_str(), "kid": kid }))
                    .collect();
                Printer::std()
                    .data(serde_json::json!({ "keys": keys, "signs_from": from, "old_until": until }));
            }
        }
        Ok(())
    })
}
