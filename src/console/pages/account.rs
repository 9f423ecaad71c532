//! One's own account.

use crate::console::Frame;
use crate::console::form::FormFault;
use askama::Template;

/// `/platform/me`.
#[derive(Template)]
#[template(path = "me.html")]
pub struct MePage {
    /// Around it.
    pub frame: Frame,
    /// E-mail address.
    pub email: String,
    /// Name.
    pub display_name: String,
    /// Roles, with commas.
    pub roles: String,
    /// `enabled`, `required` or `none`.
    pub two_factor: &'static str,
    /// Backup codes that are left.
    pub backup_codes: i64,
    /// When it signed in by password last.
    pub last_sign_in_at: Option<String>,
    /// When this session began.
    pub signed_in_at: String,
    /// When it ends.
    pub expires_at: String,
}

/// `/platform/me/password`.
#[derive(Template)]
#[template(path = "password.html")]
pub struct PasswordPage {
    /// Around it.
    pub frame: Frame,
    /// What was wrong.
    pub fault: FormFault,
    /// For the browser's password store.
    pub email: String,
    /// The password is an initial one.
    pub forced: bool,
    /// What the present password is called.
    pub current_label: &'static str,
    /// A code is asked for too.
    pub otp: bool,
}

/// `/platform/me/2fa`.
#[derive(Template)]
#[template(path = "second-factor.html")]
pub struct SecondFactorPage {
    /// Around it.
    pub frame: Frame,
    /// What was wrong.
    pub fault: FormFault,
    /// There is one.
    pub enrolled: bool,
    /// Backup codes that are left.
    pub backup_codes: i64,
}

/// A secret that its owner sees once.
pub struct ShownOnce {
    /// Base32 in groups.
    pub secret: String,
    /// The same as a picture: an SVG of ours, written as it is.
    pub qr_svg: String,
}

/// The enrolment under way.
#[derive(Template)]
#[template(path = "enrol.html")]
pub struct EnrolPage {
    /// Around it.
    pub frame: Frame,
    /// What was wrong.
    pub fault: FormFault,
    /// Only when it was just made.
    pub shown: Option<ShownOnce>,
    /// There is another one, which stays until this is confirmed.
    pub enrolled: bool,
}

/// Backup codes, shown once.
#[derive(Template)]
#[template(path = "backup-codes.html")]
pub struct BackupCodesPage {
    /// Around it.
    pub frame: Frame,
    /// Whose.
    pub email: String,
    /// Eight.
    pub codes: Vec<String>,
    /// When they were made.
    pub made_at: String,
}

#[cfg(test)]
impl MePage {
    pub(super) fn sample() -> Self {
        Self {
            frame: Frame::sample("My account", "me"),
            email: "first@vendor.example".into(),
            display_name: "First Staff".into(),
            roles: "platform-admin, sre".into(),
            two_factor: "enabled",
            backup_codes: 2,
            last_sign_in_at: Some("2026-11-21 13:02:37 UTC".into()),
            signed_in_at: "2026-11-21 13:02:37 UTC".into(),
            expires_at: "2026-11-21 14:02:37 UTC".into(),
        }
    }
}

#[cfg(test)]
impl PasswordPage {
    pub(super) fn sample() -> Self {
        Self {
            frame: Frame { narrow: true, ..Frame::sample("Choose your password", "me") },
            fault: FormFault::at("new", "This is too short: 12 characters at least."),
            email: "first@vendor.example".into(),
            forced: true,
            current_label: "Initial password",
            otp: true,
        }
    }
}

#[cfg(test)]
impl SecondFactorPage {
    pub(super) fn sample() -> Self {
        let frame = Frame { narrow: true, ..Frame::sample("Second factor", "me") };
        let fault = FormFault::general("Your password or the code is wrong.");
        Self { frame, fault, enrolled: true, backup_codes: 7 }
    }
}

#[cfg(test)]
impl EnrolPage {
    pub(super) fn sample() -> Self {
        Self {
            frame: Frame { narrow: true, ..Frame::sample("Set up the second factor", "me") },
            fault: FormFault::at("otp", "This is no code of this secret."),
            shown: Some(ShownOnce {
                secret: "JBSW Y3DP EHPK 3PXP JBSW Y3DP EHPK 3PXP".into(),
                qr_svg: r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 3 3"><path d="M0 0h1v1H0zM2 1h1v2H2z"/></svg>"#.into(),
            }),
            enrolled: false,
        }
    }
}

#[cfg(test)]
impl BackupCodesPage {
    pub(super) fn sample() -> Self {
        Self {
            frame: Frame { narrow: true, ..Frame::sample("Your backup codes", "me") },
            email: "first@vendor.example".into(),
            codes: (0..8).map(|n| format!("abcd-efgh-jkmn-pqrs-tuv{n}-wxyz")).collect(),
            made_at: "2026-11-21 13:02:37 UTC".into(),
        }
    }
}
