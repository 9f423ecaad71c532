//! Metadata of orgs, and registering one.

use crate::console::Frame;
use crate::console::form::FormFault;
use askama::Template;

/// An org as it is shown.
#[derive(Debug, Clone)]
pub struct ShownOrg {
    /// Identifier.
    pub id: String,
    /// Name.
    pub name: String,
    /// Short name.
    pub slug: String,
    /// Plan.
    pub plan: String,
    /// Owner's address.
    pub owner_email: String,
    /// `active`, `suspended` or `deleted`.
    pub status: &'static str,
}

/// `/platform/orgs`.
#[derive(Template)]
#[template(path = "orgs.html")]
pub struct OrgsPage {
    /// Around it.
    pub frame: Frame,
    /// What was searched for.
    pub q: String,
    /// Those that match.
    pub orgs: Vec<ShownOrg>,
    /// Where the next page is.
    pub next: Option<String>,
    /// Who looks may register one.
    pub admin: bool,
    /// What was just done; empty for nothing.
    pub done: String,
}

/// `/platform/orgs/new`.
#[derive(Template)]
#[template(path = "org-new.html")]
pub struct NewOrgPage {
    /// Around it.
    pub frame: Frame,
    /// What was wrong.
    pub fault: FormFault,
    /// As it was filled in.
    pub name: String,
    /// As it was filled in.
    pub slug: String,
    /// As it was filled in.
    pub plan: String,
    /// As it was filled in.
    pub owner_email: String,
}

#[cfg(test)]
impl OrgsPage {
    pub(super) fn sample() -> Self {
        let org = |name: &str, slug: &str, status| ShownOrg {
            id: format!("org_{slug}"),
            name: name.into(),
            slug: slug.into(),
            plan: "business".into(),
            owner_email: format!("owner@{slug}.example"),
            status,
        };
        Self {
            frame: Frame::sample("Orgs", "orgs"),
            q: "corp".into(),
            orgs: vec![org("Acme Corporation", "acme", "active"), org("Globex", "globex", "suspended")],
            next: Some("/platform/orgs?q=corp&cursor=org_globex".into()),
            admin: true,
            done: "Initech is registered.".into(),
        }
    }
}

#[cfg(test)]
impl NewOrgPage {
    pub(super) fn sample() -> Self {
        Self {
            frame: Frame { narrow: true, ..Frame::sample("Register an org", "orgs") },
            fault: FormFault::at("slug", "This is taken already."),
            name: "Initech".into(),
            slug: "initech".into(),
            plan: "business".into(),
            owner_email: String::new(),
        }
    }
}
