//! `[[audit.delivery]]`: where the logs are sent, entry by entry.

use super::document::{Complaint, Document, Section, Setting};
use super::fault::Fault;
use crate::domain::Secret;
use crate::domain::ids::OrgId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// One receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its name in the records, the metrics and the process log. Another name begins at the beginning.
    pub name: String,
    /// How entries get there.
    pub to: DeliverTo,
    /// Which logs it gets.
    pub logs: DeliveredLogs,
    /// What an entry becomes.
    pub shape: DeliveredAs,
}

/// How entries get to a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliverTo {
    /// Signed requests (Standard Webhooks).
    Webhook {
        /// To here.
        url: WebhookUrl,
        /// Holds the secrets that sign, one on a line; the newest first.
        secret_file: PathBuf,
    },
    /// RFC 5424.
    Syslog(SyslogAddress),
    /// Lines on standard output.
    Stdout,
}

/// Which logs a receiver gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveredLogs {
    /// The platform's.
    Platform,
    /// Those of all orgs.
    Orgs,
    /// All there are.
    All,
    /// One org's.
    Org(OrgId),
}

/// What an entry becomes on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveredAs {
    /// Itself, with its index.
    Entry,
    /// An event of the Open Cybersecurity Schema Framework, one for each request.
    Ocsf,
}

/// Where a syslog server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyslogAddress {
    /// Octet counting (RFC 6587).
    Tcp(String),
    /// RFC 5426.
    Udp(String),
    /// A socket of this machine.
    Unix(PathBuf),
}

/// The URL of a webhook. Its path may be a secret, so only its host is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(url::Url);

impl WebhookUrl {
    /// All of it.
    #[must_use]
    pub const fn expose(&self) -> &url::Url {
        &self.0
    }

    pub(super) fn parse(text: &str) -> Result<Self, Complaint> {
        // Receivers put tokens into paths and queries.
        Self::read(text).map_err(|complaint| Complaint { secret: true, ..complaint })
    }

    fn read(text: &str) -> Result<Self, Complaint> {
        let help = "for example `https://siem.example.com/drawbridge`; `http` only to this machine itself";
        let url = url::Url::parse(text).map_err(|e| Complaint::new(format!("not a URL: {e}")).help(help))?;
        if !url.username().is_empty() || url.password().is_some() {
            let help = "the signature says who sends: leave the part before `@` out";
            return Err(Complaint::new("a URL with a user or password").help(help));
        }
        if url.fragment().is_some() {
            return Err(Complaint::new("what follows `#` is never sent").help("leave it out"));
        }
        match url.scheme() {
            "https" => Ok(Self(url)),
            "http" if is_this_machine(&url) => Ok(Self(url)),
            "http" => {
                Err(Complaint::new("clear text to another machine: entries would be read on the way")
                    .help(help))
            }
            _ => Err(Complaint::new("wanted is https").help(help)),
        }
    }
}

/// A text that isn't a [`WebhookUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidWebhookUrl(String);

impl std::str::FromStr for WebhookUrl {
    type Err = InvalidWebhookUrl;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookUrl> {
        Self::read(text).map_err(|complaint| InvalidWebhookUrl(complaint.message))
    }
}

pub(super) fn is_this_machine(url: &url::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(url::Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        None => false,
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({}://{}/…)", self.0.scheme(), self.0.host_str().unwrap_or_default())
    }
}

/// The secrets of a webhook, from the text of their file: `whsec_` and base64 of 24 to 64 bytes, one on a line.
///
/// # Errors
/// What is wrong, without the secret.
pub fn webhook_secrets(text: &str) -> Result<Vec<Secret>, String> {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    for line in &lines {
        let bytes = line.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        if !bytes.is_some_and(|bytes| (24..=64).contains(&bytes.len())) {
            return Err("a line that isn't `whsec_` and the base64 of 24 to 64 bytes".to_owned());
        }
    }
    if lines.is_empty() {
        Err("it is empty".to_owned())
    } else {
        Ok(lines.into_iter().map(Secret::new).collect())
    }
}

/// A table as it is written.
pub(super) struct RawDelivery {
    pub(super) name: Setting<String>,
    to: Option<DeliverTo>,
    secret_file: Setting<Option<PathBuf>>,
    logs: Setting<DeliveredLogs>,
    shape: Setting<DeliveredAs>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Webhook,
    Syslog,
    Stdout,
}

const PATH: &str = "audit.delivery";

impl RawDelivery {
    pub(super) fn read_all(document: &mut Document<'_>) -> Vec<Self> {
        (0..document.count(PATH)).map(|number| Self::read(&mut document.nth(PATH, number))).collect()
    }

    fn read(s: &mut Section<'_, '_>) -> Self {
        let name = s.text("name", String::new(), name);
        s.needs("name", "for example `name = \"siem\"`; its place in the logs is kept under it");
        let kinds = [("webhook", Kind::Webhook), ("syslog", Kind::Syslog), ("stdout", Kind::Stdout)];
        let kind = s.text("kind", None, |text| super::raw::one_of(text, &kinds).map(Some));
        s.needs("kind", "one of `webhook`, `syslog`, `stdout`");
        let logs = s.text("log", DeliveredLogs::All, logs);
        let shapes = [("entry", DeliveredAs::Entry), ("ocsf", DeliveredAs::Ocsf)];
        let shape = s.text("as", DeliveredAs::Entry, |text| super::raw::one_of(text, &shapes));
        let url = s.text("url", None, |text| WebhookUrl::parse(text).map(Some));
        let secret_file = s.text("secret_file", None, file);
        let address = s.text("address", None, |text| syslog(text).map(Some));
        let to = match kind.value {
            Some(Kind::Webhook) => {
                s.needs("url", "where to, for example `https://siem.example.com/drawbridge`");
                s.needs("secret_file", "a file that holds `whsec_` and the base64 of 32 random bytes");
                url.value
                    .zip(secret_file.value.clone())
                    .map(|(url, secret_file)| DeliverTo::Webhook { url, secret_file })
            }
            Some(Kind::Syslog) => {
                s.needs("address", "`tcp://host:port`, `udp://host:port` or `unix:///dev/log`");
                address.value.map(DeliverTo::Syslog)
            }
            Some(Kind::Stdout) => Some(DeliverTo::Stdout),
            None => None,
        };
        if let Some(kind) = kind.value {
            for (key, of, only) in [
                ("url", Kind::Webhook, "a webhook"),
                ("secret_file", Kind::Webhook, "a webhook"),
                ("address", Kind::Syslog, "syslog"),
            ] {
                if kind != of {
                    s.unwanted(key, only);
                }
            }
        }
        Self { name, to, secret_file, logs, shape }
    }

    pub(super) fn checked(self, base: &Path) -> Option<Delivery> {
        let to = match self.to? {
            DeliverTo::Webhook { url, secret_file } => {
                DeliverTo::Webhook { url, secret_file: base.join(secret_file) }
            }
            to @ (DeliverTo::Syslog(_) | DeliverTo::Stdout) => to,
        };
        Some(Delivery { name: self.name.value, to, logs: self.logs.value, shape: self.shape.value })
    }

    /// The file of secrets is there and holds what it should.
    pub(super) fn check_secret(&self, base: &Path, faults: &mut Vec<Fault>) {
        let (Some(file), Some(span)) = (&self.secret_file.value, self.secret_file.span()) else { return };
        let path = base.join(file);
        let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
        if let Err(why) = read.and_then(|text| webhook_secrets(&text)) {
            faults.push(Fault {
                message: format!("`secret_file` in [[{PATH}]]: `{}` can't be used", path.display()),
                label: why,
                help: Some(
                    "make one: `echo whsec_$(head -c 32 /dev/urandom | base64)`, and give it to the receiver"
                        .to_owned(),
                ),
                secret: false,
                span,
            });
        }
    }
}

fn name(text: &str) -> Result<String, Complaint> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 32 || !text.chars().all(fits) {
        return Err(Complaint::new("wanted are 1 to 32 lower-case letters, digits, `-` and `_`"));
    }
    Ok(text.to_owned())
}

fn logs(text: &str) -> Result<DeliveredLogs, Complaint> {
    match text {
        "platform" => Ok(DeliveredLogs::Platform),
        "orgs" => Ok(DeliveredLogs::Orgs),
        "all" => Ok(DeliveredLogs::All),
        id => OrgId::parse(id).map(DeliveredLogs::Org).map_err(|_| {
            Complaint::new("no log has this name")
                .help("`platform`, `orgs`, `all`, or the id of one org (`org_…`)")
        }),
    }
}

fn file(text: &str) -> Result<Option<PathBuf>, Complaint> {
    if text.is_empty() { Err(Complaint::new("an empty path")) } else { Ok(Some(text.into())) }
}

fn syslog(text: &str) -> Result<SyslogAddress, Complaint> {
    let help = "`tcp://host:port`, `udp://host:port` or `unix:///dev/log`";
    let wrong = |what: &str| Complaint::new(what).help(help);
    let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("not an address of syslog"))?;
    if scheme == "unix" {
        return if rest.starts_with('/') {
            Ok(SyslogAddress::Unix(rest.into()))
        } else {
            Err(wrong("the path of the socket is not absolute"))
        };
    }
    let (host, port) = rest.rsplit_once(':').ok_or_else(|| wrong("the port is missing"))?;
    let known = url::Host::parse(host).is_ok() && port.parse::<u16>().is_ok_and(|port| port > 0);
    if !known {
        return Err(wrong("not a host and a port"));
    }
    match scheme {
        "tcp" => Ok(SyslogAddress::Tcp(rest.to_owned())),
        "udp" => Ok(SyslogAddress::Udp(rest.to_owned())),
        _ => Err(wrong("the scheme is neither tcp, udp nor unix")),
    }
}

#[cfg(test)]
mod tests;
