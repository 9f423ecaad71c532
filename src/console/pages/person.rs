//! What the customers' people see.

use crate::console::Frame;
use askama::Template;

/// `/auth/login`.
#[derive(Template)]
#[template(path = "providers.html")]
pub struct ProvidersPage {
    /// Around it.
    pub frame: Frame,
    /// Name and path of each provider that everybody may know of.
    pub providers: Vec<(String, String)>,
    /// There are others, by their short names.
    pub more: bool,
    /// The short name that was typed, and that none has.
    pub unknown: Option<String>,
    /// A path to come back to.
    pub return_to: Option<String>,
}

/// `/profile`.
#[derive(Template)]
#[template(path = "profile.html")]
pub struct ProfilePage {
    /// Around it.
    pub frame: Frame,
    /// Name.
    pub display_name: String,
    /// Verified address, or none.
    pub email: String,
    /// An administrator has activated the account.
    pub active: bool,
    /// May administer others.
    pub site_admin: bool,
    /// Where one belongs to.
    pub orgs: Vec<ProfileOrg>,
    /// The session's end.
    pub until: String,
}

/// An org that a person is a member of.
pub struct ProfileOrg {
    /// Name.
    pub name: String,
    /// Identifier.
    pub id: String,
    /// Role there.
    pub role: &'static str,
}

/// `/auth/signed-out`.
#[derive(Template)]
#[template(path = "signed-out-person.html")]
pub struct SignedOutPersonPage {
    /// Around it.
    pub frame: Frame,
}

#[cfg(test)]
impl ProvidersPage {
    pub(super) fn sample() -> Self {
        let provider = |name: &str, id: &str| (name.to_owned(), format!("/auth/oidc/start/{id}"));
        Self {
            frame: Frame::narrow("Sign in"),
            providers: vec![provider("Acme", "acme"), provider("Globex", "globex")],
            more: true,
            unknown: Some("acne".into()),
            return_to: Some("/app?a=1&b=2".into()),
        }
    }
}

#[cfg(test)]
impl ProfilePage {
    pub(super) fn sample(active: bool) -> Self {
        Self {
            frame: Frame::narrow(if active { "Your account" } else { "Your account is inactive" }),
            display_name: "First Person".into(),
            email: "first@acme.example".into(),
            active,
            site_admin: active,
            orgs: vec![ProfileOrg { name: "Acme Corporation".into(), id: "org_acme".into(), role: "viewer" }],
            until: "2026-11-28 19:20:31 UTC".into(),
        }
    }
}

#[cfg(test)]
impl SignedOutPersonPage {
    pub(super) fn sample() -> Self {
        Self { frame: Frame::narrow("You are signed out") }
    }
}
