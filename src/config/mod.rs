//! Configuration: one TOML file → [`Config`], or every fault in it at once, each with file, line, column
//! and caret, before any port is bound.
//!
//! The way of a file: the text is parsed with recovery (all syntax faults, `document`), each section is
//! read with its types, defaults and bounds (`raw`), then settings that only together are wrong and files
//! that aren't there are looked for (`check`), and only a file without fault becomes a [`Config`].
//! `config/drawbridge.toml` documents every key with its default; a test keeps the two equal.
//!
//! Nothing here opens a port. Keys are files that the configuration names; a password may stand in the URL of a
//! database, and is shown nowhere.
//!
//! Main types: [`Config`] and its sections, [`Faults`]. Next: `raw` for keys and defaults.

mod accounts;
mod audit;
mod check;
mod database;
mod delivery;
mod document;
mod fault;
mod live_url;
mod net;
mod oauth2;
mod oauth2_client;
mod oidc;
mod oidc_provider;
mod raw;
mod redirect_uri;
mod settings;

pub use accounts::{Accounts, Operator, Setup};
pub use audit::{Audit, WitnessAt};
pub use database::{DatabaseUrl, InvalidDatabaseUrl};
pub use delivery::{
    DeliverTo, DeliveredAs, DeliveredLogs, Delivery, InvalidWebhookUrl, SyslogAddress, WebhookUrl,
    webhook_secrets,
};
pub use fault::{Fault, Faults, Look};
pub use live_url::{LiveTopology, LiveUrl};
pub use net::{InvalidNetwork, InvalidOrigin, Network, Origin, Scheme};
pub use oauth2::{OAuth2, OAuth2Client};
pub use oidc::{Oidc, OidcProvider};
pub use redirect_uri::{is_redirect_uri, loopback};
pub use settings::{
    AccessLogTo, Config, Credentials, Data, Database, Impersonation, Limits, Live, Log, Policy, Server, Tls,
    Upstream, UpstreamHost,
};

use document::{Document, Place};
use raw::RawConfig;
use std::path::Path;

/// Reads and checks a configuration file. Relative paths in it are taken from `base`, the working folder.
///
/// # Errors
/// [`Faults`]: everything that is wrong, in the order of the file.
pub fn load(file: &Path, base: &Path) -> Result<Config, Faults> {
    let name = file.display().to_string();
    match std::fs::read(base.join(file)) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => parse(&name, &text, base),
            Err(error) => Err(Faults::not_text(&name, &error)),
        },
        Err(error) => Err(Faults::unreadable(&name, &error)),
    }
}

/// Checks the text of a configuration file called `name`.
///
/// # Errors
/// As [`load`].
pub fn parse(name: &str, text: &str, base: &Path) -> Result<Config, Faults> {
    let mut document = Document::parse(text);
    let raw = RawConfig::read(&mut document);
    if raw.upstream.url.place == Place::Default {
        document.missing("upstream", "url", "for example `url = \"http://127.0.0.1:9000\"`");
    }
    let mut faults = document.finish();
    check::check(&raw, base, &mut faults);
    if faults.is_empty() { Ok(raw.resolve(base)) } else { Err(Faults::new(name, text, faults)) }
}

impl Config {
    /// What holds where a file says nothing; relative paths are taken from `base`. A file has to name its
    /// upstream; here it is `http://127.0.0.1:9000`.
    #[must_use]
    pub fn defaults(base: &Path) -> Self {
        RawConfig::read(&mut Document::parse("")).resolve(base)
    }
}

#[cfg(test)]
mod tests;
