//! `[oauth2.clients.…]`: one client each.

use super::check::fault;
use super::document::{Complaint, Document, Setting};
use super::fault::Fault;
use super::raw::{any_path, one_of};
use super::redirect_uri::is_redirect_uri;
use std::path::{Path, PathBuf};

/// The shortest secret of a client, in bytes: such a secret is kept as a plain hash.
const MIN_SECRET: usize = 32;

/// `token_endpoint_auth_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    None,
    SecretBasic,
}

/// One client as it is written.
pub(super) struct RawClient {
    pub(super) id: String,
    place: std::ops::Range<usize>,
    method: Setting<Method>,
    /// Whether `redirect_uris` is there: a wrong one in it has been told already.
    names_uris: bool,
    pub(super) redirect_uris: Vec<Setting<String>>,
    pub(super) secret_file: Setting<PathBuf>,
}

/// Reads the client of this id.
pub(super) fn client(document: &mut Document<'_>, id: String) -> RawClient {
    let mut s = document.child("oauth2.clients.*", id.clone());
    let place = s.place();
    RawClient {
        method: s.text("token_endpoint_auth_method", Method::None, |text| {
            one_of(text, &[("none", Method::None), ("client_secret_basic", Method::SecretBasic)])
        }),
        redirect_uris: s.texts("redirect_uris", Vec::new(), redirect_uri),
        secret_file: s.text("secret_file", PathBuf::new(), any_path),
        names_uris: s.has("redirect_uris"),
        id,
        place,
    }
}

impl RawClient {
    /// Whether it proves itself by a secret.
    pub(super) fn has_secret(&self) -> bool {
        self.method.value == Method::SecretBasic
    }

    pub(super) fn check(&self, base: &Path, faults: &mut Vec<Fault>) {
        let id = &self.id;
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if id.is_empty() || id.len() > 64 || !id.bytes().all(fits) {
            faults.push(fault(
                format!("`{id}` is no client id"),
                "this client",
                "wanted are at most 64 letters, digits and `-`, `_`, `.`",
                self.place.clone(),
            ));
        }
        let has_secret = !self.secret_file.value.as_os_str().is_empty();
        match self.method.value {
            _ if !self.method.is_sound() => {}
            Method::None if has_secret => faults.push(fault(
                format!("`secret_file` of the client `{id}`, which has no secret"),
                "not used",
                "leave it out, or set token_endpoint_auth_method = \"client_secret_basic\"",
                self.secret_file.span().unwrap_or(self.place.clone()),
            )),
            Method::None if !self.names_uris => faults.push(fault(
                format!("the client `{id}` has no `redirect_uris`"),
                "of no use",
                "name where the answers of its sign-ins may go, for example \"http://127.0.0.1/callback\"",
                self.place.clone(),
            )),
            Method::SecretBasic if !has_secret => faults.push(fault(
                format!("`secret_file` is missing for the client `{id}`"),
                "in this table",
                "name a file that holds its secret: at least 32 random characters",
                self.place.clone(),
            )),
            Method::SecretBasic => {
                let path = base.join(&self.secret_file.value);
                let why = match std::fs::read_to_string(&path) {
                    Ok(secret) if secret.trim().len() >= MIN_SECRET => return,
                    Ok(_) => "a secret has at least 32 characters, drawn at random".to_owned(),
                    Err(error) => error.to_string(),
                };
                faults.push(fault(
                    format!("`secret_file` of the client `{id}`: `{}` can't be used", path.display()),
                    why,
                    "for example: openssl rand -hex 32",
                    self.secret_file.span().unwrap_or(self.place.clone()),
                ));
            }
            Method::None => {}
        }
    }
}

fn redirect_uri(text: &str) -> Result<String, Complaint> {
    let help = "https, http at 127.0.0.1 or [::1] (any port), or an application's own scheme with a dot in it; \
                without fragment, user or password";
    if is_redirect_uri(text) {
        Ok(text.to_owned())
    } else {
        Err(Complaint::new("not where an answer may go").help(help))
    }
}
