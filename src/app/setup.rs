//! Before there is a first platform admin: the secret that makes one, and the one that the configuration names.

use super::compose::Composition;
use super::error::StartError;
use crate::access::ActError;
use crate::access::accounts::SetupSecret;
use crate::config::Setup;
use crate::domain::{Format, Secret};
use crate::identity::Sealer;
use std::io::Write as _;
use std::path::Path;

/// What the setup gate asks for.
pub(super) fn secret(setup: &Setup, sealer: &Sealer) -> Result<SetupSecret, StartError> {
    let Some(path) = &setup.secret_file else { return Ok(SetupSecret::derived(sealer)?) };
    SetupSecret::mounted(&read(path)?).ok_or_else(|| {
        StartError::Usage(format!(
            "`{}` ([setup] secret_file) holds fewer than 16 characters",
            path.display()
        ))
    })
}

fn read(path: &Path) -> Result<String, StartError> {
    std::fs::read_to_string(path).map_err(|source| StartError::File { path: path.to_owned(), source })
}

/// Makes the platform admin that the configuration names, or says how one is made. Nothing where there is one.
///
/// # Errors
/// [`StartError`]: the one that is named can't be made.
pub(super) async fn prepare(parts: &Composition) -> Result<(), StartError> {
    if parts.access.look_whether_set_up().await {
        return Ok(());
    }
    let setup = &parts.config.setup;
    if let Some(operator) = &setup.operator {
        let text = read(&operator.password_file)?;
        let password = Secret::new(text.trim_end_matches(['\r', '\n']));
        let name = Some(operator.display_name.as_str()).filter(|name| !name.is_empty());
        return match parts.access.bootstrap_by_operator(&operator.email, name, Some(password)).await {
            Ok(made) => {
                tracing::info!(platform_user_id = %made.user, "set up: the first platform admin is there");
                Ok(())
            }
            // Another gateway of the same start was quicker.
            Err(ActError::SetupDone) => Ok(()),
            Err(error) => Err(error.into()),
        };
    }
    tell(parts);
    Ok(())
}

/// One line on standard error, apart from the process log: who can read it runs the gateway.
fn tell(parts: &Composition) {
    let page = format!("{}/platform/setup", parts.config.server.public_url);
    let secret = parts.access.setup_secret();
    let file = parts.config.setup.secret_file.as_deref().map(Path::display);
    let line = match (parts.config.log.format, &file) {
        (Format::Human, None) => {
            format!(
                "Not set up yet. Open {page} with this setup secret (printed until it is done): {}",
                secret.expose()
            )
        }
        (Format::Human, Some(file)) => format!("Not set up yet. Open {page} with the setup secret in {file}"),
        (Format::Json, None) => {
            serde_json::json!({ "setup_required": page, "setup_secret": secret.expose() }).to_string()
        }
        (Format::Json, Some(file)) => {
            serde_json::json!({ "setup_required": page, "setup_secret_file": file.to_string() }).to_string()
        }
    };
    // Nobody there to read it is no reason not to start.
    drop(writeln!(std::io::stderr(), "{line}"));
}
