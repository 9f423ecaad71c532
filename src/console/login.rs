//! The sign-in: e-mail and password, then the code. Whose sign-in it is for is said, since the answer goes there.

use super::Frame;
use super::text::visible;
use askama::Template;

/// See the module.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    frame: Frame,
    /// What was wrong the last time.
    message: Option<String>,
    /// The client that asks; `None`: the console.
    client: Option<String>,
    /// The client's request, sealed.
    authorization: Option<String>,
    /// What was typed the last time.
    email: String,
    /// That the password was right, sealed: what is missing is the code.
    proved: Option<String>,
    /// Where one begins anew.
    again: String,
}

impl LoginPage {
    /// The first step. `authorization`: the client's id, and its request, sealed.
    #[must_use]
    pub fn new(authorization: Option<(&str, &str)>) -> Self {
        let again = authorization.map_or_else(
            || "/platform/login".to_owned(),
            |(_, sealed)| format!("/platform/login?authorization={sealed}"),
        );
        Self {
            frame: Frame::narrow("Sign in"),
            message: None,
            client: authorization.map(|(client, _)| visible(client)),
            authorization: authorization.map(|(_, sealed)| sealed.to_owned()),
            email: String::new(),
            proved: None,
            again,
        }
    }

    /// The second step: the code.
    #[must_use]
    pub fn asking_for_code(self, proved: String) -> Self {
        Self { frame: Frame::narrow("Enter your code"), proved: Some(proved), ..self }
    }

    /// With what was typed before: all but the password.
    #[must_use]
    pub fn with_email(self, email: &str) -> Self {
        Self { email: visible(email), ..self }
    }

    /// With what was wrong.
    #[must_use]
    pub fn saying(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }

    /// As it looks with everything on it.
    #[must_use]
    pub fn sample() -> Self {
        Self::new(Some(("drawbridge-cli", "sealed")))
            .with_email("staff@drawbridge.example")
            .saying("The e-mail or the password is wrong.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_name_and_label() {
        let first = LoginPage::sample().render().unwrap();
        for part in [
            r#"name="email""#,
            r#"name="password""#,
            r#"<label for="email">"#,
            r#"<label for="password">"#,
            r#"name="authorization" value="sealed""#,
            r#"role="alert""#,
            "drawbridge-cli",
            r#"autocomplete="current-password""#,
        ] {
            assert!(first.contains(part), "{part}: {first}");
        }
        let second = LoginPage::sample().asking_for_code("proved".to_owned()).render().unwrap();
        assert!(second.contains(r#"name="otp""#) && second.contains(r#"name="proved" value="proved""#));
        assert!(!second.contains(r#"name="password""#));
    }

    #[test]
    fn what_was_typed_is_escaped() {
        let page =
            LoginPage::new(Some(("<script>", "\"><script>"))).with_email("\"><script>").render().unwrap();
        assert!(!page.contains("<script>"), "{page}");
    }
}
