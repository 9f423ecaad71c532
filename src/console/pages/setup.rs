//! What strangers see: the setup gate, and the end of a session.

use crate::console::Frame;
use crate::console::form::FormFault;
use askama::Template;

/// `/platform/setup`.
#[derive(Template)]
#[template(path = "setup.html")]
pub struct SetupPage {
    /// Around it.
    pub frame: Frame,
    /// What was wrong.
    pub fault: FormFault,
    /// As it was filled in.
    pub email: String,
    /// As it was filled in.
    pub display_name: String,
}

/// `/platform/signed-out`.
#[derive(Template)]
#[template(path = "signed-out.html")]
pub struct SignedOutPage {
    /// Around it.
    pub frame: Frame,
}

#[cfg(test)]
impl SetupPage {
    pub(super) fn sample() -> Self {
        Self {
            frame: Frame::narrow("Set up Drawbridge"),
            fault: FormFault::at("secret", "This is not the setup secret."),
            email: "first@vendor.example".into(),
            display_name: String::new(),
        }
    }
}

#[cfg(test)]
impl SignedOutPage {
    pub(super) fn sample() -> Self {
        Self { frame: Frame::narrow("You are signed out") }
    }
}
