//! `[oidc.providers.…]`: one provider each.

use super::check::fault;
use super::document::{Complaint, Document, Setting};
use super::fault::Fault;
use super::oidc::OidcProvider;
use super::raw::{any_path, file};
use crate::domain::{email_key, is_email};
use std::path::{Path, PathBuf};

/// One provider as it is written.
pub(super) struct RawProvider {
    pub(super) id: String,
    place: std::ops::Range<usize>,
    name: Setting<String>,
    pub(super) issuer: Setting<String>,
    listed: Setting<bool>,
    client_id: Setting<String>,
    client_secret_file: Setting<PathBuf>,
    orgs: Vec<Setting<String>>,
    admin_emails: Vec<Setting<String>>,
    session_ends_with_provider: Setting<bool>,
}

impl RawProvider {
    /// Reads the provider of this id.
    pub(super) fn read(document: &mut Document<'_>, id: String) -> Self {
        let mut s = document.child("oidc.providers.*", id.clone());
        let issuer = s.text("issuer", String::new(), issuer);
        s.needs("issuer", "as the provider calls itself, for example \"https://id.acme.example\"");
        let client_id = s.text("client_id", String::new(), not_empty);
        s.needs("client_id", "what the provider knows this gateway as");
        let orgs = s.texts("orgs", Vec::new(), not_empty);
        s.needs("orgs", "the orgs whose people it speaks for, for example [\"acme\"]");
        Self {
            place: s.place(),
            name: s.text("name", String::new(), |text| Ok(text.trim().to_owned())),
            issuer,
            client_id,
            listed: s.flag("listed", true),
            client_secret_file: s.text("client_secret_file", PathBuf::new(), any_path),
            orgs,
            admin_emails: s.texts("admin_emails", Vec::new(), email),
            session_ends_with_provider: s.flag("session_ends_with_provider", false),
            id,
        }
    }

    pub(super) fn check(&self, base: &Path, faults: &mut Vec<Fault>) {
        let id = &self.id;
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if id.is_empty() || id.len() > 32 || !id.bytes().all(fits) {
            faults.push(fault(
                format!("`{id}` is no name of a provider"),
                "this provider",
                "wanted are at most 32 lower-case letters, digits and `-`: it stands in URLs",
                self.place.clone(),
            ));
        }
        let Some(path) = file(base, &self.client_secret_file) else { return };
        let why = match std::fs::read_to_string(&path) {
            Ok(secret) if !secret.trim().is_empty() => return,
            Ok(_) => "it is empty".to_owned(),
            Err(error) => error.to_string(),
        };
        faults.push(fault(
            format!("`client_secret_file` of the provider `{id}`: `{}` can't be used", path.display()),
            why,
            "put the secret that the provider gave you into it, or leave the key out for a public client",
            self.client_secret_file.span().unwrap_or(self.place.clone()),
        ));
    }

    pub(super) fn checked(self, base: &Path) -> OidcProvider {
        let values = |all: Vec<Setting<String>>| all.into_iter().map(|one| one.value).collect();
        OidcProvider {
            client_secret_file: file(base, &self.client_secret_file),
            name: Some(self.name.value).filter(|n| !n.is_empty()).unwrap_or_else(|| self.id.clone()),
            id: self.id,
            issuer: self.issuer.value,
            listed: self.listed.value,
            client_id: self.client_id.value,
            orgs: values(self.orgs),
            admin_emails: values(self.admin_emails),
            session_ends_with_provider: self.session_ends_with_provider.value,
        }
    }
}

fn not_empty(text: &str) -> Result<String, Complaint> {
    if text.trim().is_empty() { Err(Complaint::new("it is empty")) } else { Ok(text.to_owned()) }
}

fn email(text: &str) -> Result<String, Complaint> {
    let key = email_key(text);
    if is_email(&key) { Ok(key) } else { Err(Complaint::new("not an e-mail address")) }
}

/// An https URL without query and fragment (OpenID Connect Discovery §3); http on this machine.
fn issuer(text: &str) -> Result<String, Complaint> {
    let help = "https, or http on this machine, without user, query and fragment; exactly as in the provider's \
                /.well-known/openid-configuration";
    let url = url::Url::parse(text).map_err(|_| Complaint::new("not a URL").help(help))?;
    let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    let safe = url.scheme() == "https" || (url.scheme() == "http" && super::delivery::is_this_machine(&url));
    if bare && safe { Ok(text.to_owned()) } else { Err(Complaint::new("no issuer").help(help)) }
}
