//! Forms as they come in, and as they are shown again.

use crate::access::ActError;
use crate::access::accounts::StepUp;
use crate::console::form::FormFault;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::Call;
use crate::domain::Secret;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use std::collections::HashMap;

/// The fields of a form that asks for nothing but the step-up.
pub(super) const STEP_UP: &[&str] = &["current", "otp"];

/// Fields of a form, each once.
pub(super) struct Form(HashMap<String, Secret>);

impl Form {
    /// Reads `application/x-www-form-urlencoded` with none but the `known` fields.
    ///
    /// # Errors
    /// `422 INVALID_BODY`.
    pub(super) fn read(
        call: &Call,
        headers: &HeaderMap,
        body: &[u8],
        known: &[&str],
    ) -> Result<Self, ApiError> {
        let wrong = |why: String| call.fault(Fault::Body(why));
        let media_type = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let form = "application/x-www-form-urlencoded";
        let is_form = media_type.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case(form));
        if !is_form && !body.is_empty() {
            return Err(wrong(format!("the body must be a form ({form}); programs use the API")));
        }
        let mut fields = HashMap::new();
        for (name, value) in url::form_urlencoded::parse(body) {
            if !known.contains(&name.as_ref()) {
                return Err(wrong(format!(
                    "this form has no field `{name}`; there are `{}`",
                    known.join("`, `")
                )));
            }
            if fields.insert(name.to_string(), Secret::new(value)).is_some() {
                return Err(wrong(format!("the field `{name}` is given twice")));
            }
        }
        Ok(Self(fields))
    }

    /// As it is; empty if it is missing.
    pub(super) fn secret(&self, name: &str) -> Secret {
        self.0.get(name).cloned().unwrap_or_else(|| Secret::new(""))
    }

    /// `None` if it is missing or blank; without blanks, as people type codes.
    pub(super) fn code(&self, name: &str) -> Option<Secret> {
        let code: String = self.text(name).split_whitespace().collect();
        Some(code).filter(|code| !code.is_empty()).map(Secret::new)
    }

    /// What is asked for again before a credential changes: the fields of [`STEP_UP`].
    pub(super) fn step_up(&self) -> StepUp {
        // Not trimmed: a password is what was typed.
        let current = Some(self.secret("current")).filter(|typed| !typed.expose().is_empty());
        StepUp { current, otp: self.code("otp") }
    }

    /// Trimmed; empty if it is missing.
    pub(super) fn text(&self, name: &str) -> String {
        self.0.get(name).map(|v| v.expose().trim().to_owned()).unwrap_or_default()
    }

    /// Trimmed; `None` if it is missing or blank.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }
}

/// What is wrong, as the form with these `fields` shows it; `None` for what no form is to blame for.
pub(super) fn fault(error: &ApiError, fields: &[&str]) -> Option<FormFault> {
    match &error.fault {
        Fault::Act(ActError::Invalid { member, fault }) if fields.contains(member) => {
            Some(FormFault::at(member, format!("This {}.", plain(fault))))
        }
        Fault::Act(ActError::ClockOff { .. }) if fields.contains(&"otp") => {
            Some(FormFault::at("otp", sentence(&error.told().detail)))
        }
        Fault::Act(ActError::SetupSecret) => Some(FormFault::at("secret", "This is not the setup secret.")),
        Fault::Act(ActError::StepUp) => Some(FormFault::general(
            "The password or the code is wrong. A code that was used already doesn't count again: wait for the next one.",
        )),
        Fault::Act(
            ActError::Refused(_)
            | ActError::Invalid { .. }
            | ActError::ClockOff { .. }
            | ActError::Conflict(_)
            | ActError::RateLimited { .. }
            | ActError::Throttled { .. }
            | ActError::Busy,
        ) => Some(FormFault::general(sentence(&error.told().detail))),
        Fault::Act(
            ActError::NotFound(_)
            | ActError::SetupDone
            | ActError::Store(_)
            | ActError::Token(_)
            | ActError::NoPermit,
        )
        | Fault::Body(_)
        | Fault::Query(_)
        | Fault::Store(_)
        | Fault::ForeignOrigin
        | Fault::Federation(_)
        | Fault::NotYet(_) => None,
    }
}

fn plain(text: &str) -> String {
    text.replace('`', "")
}

fn sentence(text: &str) -> String {
    let mut text = plain(text);
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if text.ends_with('.') { text } else { text + "." }
}

/// The form again, as `page` makes it, with the refusal's status; the gate writes it down like any other.
///
/// # Errors
/// The error itself, where the form isn't to blame.
pub(super) fn again(
    error: ApiError,
    fields: &[&str],
    page: impl FnOnce(FormFault, axum::http::StatusCode) -> Response,
) -> Result<Response, ApiError> {
    let Some(fault) = fault(&error, fields) else { return Err(error) };
    let told = error.told();
    let mut response = page(fault, told.status);
    response.extensions_mut().insert(error.refusal());
    if let Some(seconds) = told.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::{Form, Secret};

    #[test]
    fn a_step_up_takes_the_password_as_typed_and_the_code_without_blanks() {
        let step_up = |fields: &[(&str, &str)]| {
            let fields = fields.iter().map(|(name, typed)| ((*name).to_owned(), Secret::new(*typed)));
            let step_up = Form(fields.collect()).step_up();
            let text = |secret: Option<Secret>| secret.map(|secret| secret.expose().to_owned());
            (text(step_up.current), text(step_up.otp))
        };
        let typed = step_up(&[("current", " with blanks "), ("otp", " 123 456 ")]);
        assert_eq!(typed, (Some(" with blanks ".to_owned()), Some("123456".to_owned())));
        assert_eq!(step_up(&[("current", ""), ("otp", "  ")]), (None, None));
        assert_eq!(step_up(&[]), (None, None));
    }
}
