//! `drawbridge setup`: whoever runs the gateway makes the first platform admin on its host.

use super::{Exit, FormatArg, Printer, operate};
use crate::access::accounts::InitialPassword;
use crate::app::open_access;
use crate::domain::rfc3339;
use std::path::PathBuf;

/// Arguments of `setup`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Their address
    #[arg(long)]
    pub email: String,
    /// Their name
    #[arg(long, value_name = "NAME")]
    pub display_name: Option<String>,
    /// Who reads the output
    #[arg(long, value_enum, default_value = "human")]
    pub format: FormatArg,
}

/// Shows an initial password, once.
pub(super) fn print_initial(format: FormatArg, email: &str, initial: &InitialPassword) {
    let (password, until) = (initial.password.expose(), rfc3339(initial.expires_at));
    match format {
        FormatArg::Human => {
            Printer::std()
                .note(format!("initial password of {email}, shown once; for one sign-in, until {until}"));
            Printer::std().data(password);
        }
        FormatArg::Json => Printer::std().data(serde_json::json!({
            "platform_user_id": initial.user, "email": email,
            "initial_password": password, "initial_password_expires_at": until,
        })),
    }
}

/// Runs the command. A gateway that runs on the same records opens within a tenth of a second.
#[must_use]
pub fn run(args: Args) -> Exit {
    let Args { config, email, display_name, format } = args;
    operate(&config, open_access, async move |access| {
        let made = access.bootstrap_by_operator(&email, display_name.as_deref(), None).await?;
        print_initial(format, &email, &made);
        Ok(())
    })
}
