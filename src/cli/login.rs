//! `drawbridge login`: signs a person in with a browser, by the code flow for programs on one's own machine
//! (RFC 8252): the answer comes back to a port of this machine that is open for this one sign-in.

use super::{Exit, Printer, run_on_runtime};
use crate::app::{SignInAsked, StartError, sign_in};
use crate::config::Origin;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Where the token goes: exactly one of these.
#[derive(Debug, clap::Args)]
#[group(id = "where_to", required = true, multiple = false)]
pub struct Where {
    /// Print the token, once
    #[arg(long)]
    pub print_token: bool,
    /// Write the token into this file, which only you can read
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

/// Arguments of `login`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The gateway's public URL
    #[arg(long, value_name = "URL")]
    pub server: Origin,
    /// The client that this program is, in the server's configuration
    #[arg(long, value_name = "ID", default_value = "drawbridge-cli")]
    pub client_id: String,
    /// Where the token goes.
    #[command(flatten)]
    pub token: Where,
    /// PEM file of an authority that the server's certificate is from, beside the system's
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// How long to wait for the sign-in, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub wait: u64,
}

/// Runs until somebody has signed in, or the time is over.
#[must_use]
pub fn run(args: Args) -> Exit {
    let Args { server, client_id, token: Where { print_token, token_file }, ca_file, wait } = args;
    let asked = SignInAsked {
        server: server.to_string(),
        client_id,
        ca_file,
        wait: std::time::Duration::from_secs(wait),
    };
    run_on_runtime(async move {
        let signed_in = sign_in(asked, |url| {
            let mut printer = Printer::std();
            printer.note("open this in your browser and sign in:");
            printer.note(url);
        })
        .await?;
        let mut printer = Printer::std();
        printer.note(format!("signed in; the token counts for {} s", signed_in.expires_in));
        if let Some(path) = &token_file {
            keep(path, signed_in.token.expose())?;
        } else if print_token {
            printer.data(signed_in.token.expose());
        }
        Ok(())
    })
}

/// Readable by its owner from the first byte on.
fn keep(path: &Path, token: &str) -> Result<(), StartError> {
    let failed = |source| StartError::File { path: path.to_owned(), source };
    // What is there may be readable by others: it is made anew.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(token.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)
}
