//! `drawbridge user`: the operator sets up people and bots on a configured server.

use super::setup::print_initial;
use super::{Exit, FormatArg, Printer, operate, print_id};
use crate::access::NewPerson;
use crate::app::{open_access, open_access_alone};
use crate::domain::OrgRole;
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
    /// Issue a new initial password to a member of staff, when no admin can; on SQLite stop the gateway first
    Password(Password),
    /// List members of staff
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

/// Arguments of `user password`.
#[derive(Debug, clap::Args)]
pub struct Password {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Their address
    #[arg(long)]
    pub email: String,
    /// Take their second factor away too: it is enrolled anew
    #[arg(long)]
    pub reset_second_factor: bool,
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
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

impl PlatformRole {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

impl From<OrgRoleArg> for OrgRole {
    fn from(arg: OrgRoleArg) -> Self {
        match arg {
            OrgRoleArg::Owner => Self::Owner,
            OrgRoleArg::Admin => Self::Admin,
            OrgRoleArg::Operator => Self::Operator,
            OrgRoleArg::Viewer => Self::Viewer,
        }
    }
}

/// Runs the sub-command.
#[must_use]
pub fn run(args: Args) -> Exit {
    match args.command {
        Command::AddPlatform(AddPlatform { config, email, display_name, roles, format }) => {
            operate(&config, open_access, async move |access| {
                let roles = roles.into_iter().map(PlatformRole::name).collect();
                let id = access.provision_platform_user(NewPerson { email, display_name }, roles).await?;
                print_id(format, id.as_str());
                Ok(())
            })
        }
        Command::AddOrgUser(AddOrgUser { config, org, email, display_name, role, format }) => {
            operate(&config, open_access, async move |access| {
                let org = access.find_org(&org).await?;
                let id =
                    access.provision_org_user(NewPerson { email, display_name }, org, role.into()).await?;
                print_id(format, id.as_str());
                Ok(())
            })
        }
        Command::AddBot(AddBot { config, org, name, role, format }) => {
            operate(&config, open_access, async move |access| {
                let org = access.find_org(&org).await?;
                print_id(format, access.provision_bot(&name, org, role.into()).await?.as_str());
                Ok(())
            })
        }
        Command::Password(Password { config, email, reset_second_factor, format }) => {
            operate(&config, open_access_alone, async move |access| {
                let issued = access.initial_password_by_operator(&email, reset_second_factor).await?;
                print_initial(format, &email, &issued);
                Ok(())
            })
        }
        Command::List(List { config, format }) => operate(&config, open_access, async move |access| {
            let mut after: Option<String> = None;
            loop {
                let page = access.platform_users(500, after.as_deref()).await?;
                for user in &page.items {
                    let (id, email, roles) = (&user.id, &user.email, user.roles.join(","));
                    match format {
                        FormatArg::Human => Printer::std().data(format!("{id}  {email:<32} {roles}")),
                        FormatArg::Json => Printer::std().data(serde_json::json!({
                            "id": id, "email": email, "roles": user.roles, "disabled": user.disabled_at.is_some(),
                        })),
                    }
                }
                match page.next {
                    Some(next) => after = Some(next),
                    None => return Ok(()),
                }
            }
        }),
    }
}
