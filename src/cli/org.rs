//! `drawbridge org`: the operator sets up customer orgs on a configured server.

use super::{Exit, FormatArg, Printer, operate, print_id};
use crate::access::NewOrg;
use crate::app::open_access;
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
    /// Whoever signs in first with a provider of the org becomes an active viewer
    #[arg(long)]
    pub auto_add_new_users: bool,
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
    match args.command {
        Command::Add(args) => {
            let Add { config, name, slug, plan, owner_email, no_support_access, auto_add_new_users, format } =
                args;
            operate(&config, open_access, async move |access| {
                let allow_platform_impersonation = !no_support_access;
                let new = NewOrg {
                    slug,
                    name,
                    plan,
                    owner_email,
                    allow_platform_impersonation,
                    auto_add_new_users,
                };
                print_id(format, access.provision_org(new).await?.as_str());
                Ok(())
            })
        }
        Command::List(List { config, format }) => operate(&config, open_access, async move |access| {
            for org in access.all_orgs().await? {
                match format {
                    FormatArg::Human => {
                        Printer::std().data(format!("{}  {:<20} {}", org.id, org.slug, org.name));
                    }
                    FormatArg::Json => Printer::std().data(serde_json::json!({
                        "id": org.id, "slug": org.slug, "name": org.name, "status": org.status.as_str(),
                    })),
                }
            }
            Ok(())
        }),
    }
}
