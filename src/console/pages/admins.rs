//! Accounts of the vendor's staff, for platform admins.

use crate::console::Frame;
use crate::console::form::FormFault;
use askama::Template;

/// An account as it is shown.
#[derive(Debug, Clone)]
pub struct User {
    /// Identifier.
    pub id: String,
    /// E-mail address.
    pub email: String,
    /// Name.
    pub display_name: String,
    /// Roles, with commas.
    pub roles: String,
    /// Disabled since.
    pub disabled_at: Option<String>,
    /// Made.
    pub created_at: String,
}

/// `/platform/admins`.
#[derive(Template)]
#[template(path = "admins.html")]
pub struct AdminsPage {
    /// Around it.
    pub frame: Frame,
    /// Newest first.
    pub users: Vec<User>,
    /// Where the next page is.
    pub next: Option<String>,
}

/// `/platform/admins/new`.
#[derive(Template)]
#[template(path = "admin-new.html")]
pub struct NewAdminPage {
    /// Around it.
    pub frame: Frame,
    /// What was wrong.
    pub fault: FormFault,
    /// As it was filled in.
    pub email: String,
    /// As it was filled in.
    pub display_name: String,
    /// As it was filled in.
    pub role: String,
    /// As it was filled in.
    pub reason: String,
}

/// `/platform/admins/{user}`.
#[derive(Template)]
#[template(path = "admin.html")]
pub struct AdminPage {
    /// Around it.
    pub frame: Frame,
    /// What was wrong.
    pub fault: FormFault,
    /// What was just done; empty for nothing.
    pub done: String,
    /// Whose.
    pub user: User,
    /// As it was filled in.
    pub reason: String,
    /// As it was filled in.
    pub cause: String,
    /// As it was filled in.
    pub ticket_ref: String,
    /// As it was filled in.
    pub approved_by: String,
}

/// An initial password, shown once.
#[derive(Template)]
#[template(path = "initial-password.html")]
pub struct InitialPasswordPage {
    /// Around it.
    pub frame: Frame,
    /// Whose.
    pub email: String,
    /// The password.
    pub password: String,
    /// Until when.
    pub expires_at: String,
    /// It is the first account: who reads this signs in with it.
    pub setup: bool,
}

#[cfg(test)]
impl User {
    fn sample(id: &str, name: &str, disabled_at: Option<&str>) -> Self {
        Self {
            id: id.into(),
            email: format!("{}@vendor.example", name.to_lowercase().replace(' ', ".")),
            display_name: name.into(),
            roles: "platform-admin, sre".into(),
            disabled_at: disabled_at.map(str::to_owned),
            created_at: "2026-11-21 13:02:37 UTC".into(),
        }
    }
}

#[cfg(test)]
impl AdminsPage {
    pub(super) fn sample() -> Self {
        Self {
            frame: Frame::sample("Accounts", "admins"),
            users: vec![
                User::sample("pu_1", "Second Staff", None),
                User::sample("pu_2", "First Staff", Some("2026-11-21 13:02:37 UTC")),
                User { roles: String::new(), ..User::sample("pu_3", "Annie Easley", None) },
            ],
            next: Some("/platform/admins?cursor=pu_3".into()),
        }
    }
}

#[cfg(test)]
impl NewAdminPage {
    pub(super) fn sample() -> Self {
        Self {
            frame: Frame { narrow: true, ..Frame::sample("New account", "admins") },
            fault: FormFault::at("email", "This is no e-mail address: write name@host."),
            email: "second".into(),
            display_name: "Second Staff".into(),
            role: "sre".into(),
            reason: String::new(),
        }
    }
}

#[cfg(test)]
impl AdminPage {
    pub(super) fn sample(disabled: bool) -> Self {
        Self {
            frame: Frame { narrow: true, ..Frame::sample("Second Staff", "admins") },
            fault: FormFault::at("approved_by", "This names no other active platform admin."),
            done: "The second factor is reset.".into(),
            user: User::sample("pu_1", "Second Staff", disabled.then_some("2026-11-21 13:02:37 UTC")),
            reason: "laptop stolen ticket=OPS-7".into(),
            cause: "compromise".into(),
            ticket_ref: String::new(),
            approved_by: "nobody@vendor.example".into(),
        }
    }
}

#[cfg(test)]
impl InitialPasswordPage {
    pub(super) fn sample() -> Self {
        Self {
            frame: Frame { narrow: true, ..Frame::sample("Account created", "admins") },
            email: "second@vendor.example".into(),
            password: "w7RkTz4mQpXc9HfN".into(),
            expires_at: "2026-11-22 13:02:37 UTC".into(),
            setup: false,
        }
    }
}
