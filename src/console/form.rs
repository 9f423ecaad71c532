//! What a form is shown with when it is shown again.

/// What is wrong with what was filled in; the default: nothing.
#[derive(Debug, Clone, Default)]
pub struct FormFault {
    /// The field, if it is one of the form's.
    pub field: &'static str,
    /// What is wrong, a sentence.
    pub text: String,
}

impl FormFault {
    /// Of a field.
    #[must_use]
    pub fn at(field: &'static str, text: impl Into<String>) -> Self {
        Self { field, text: text.into() }
    }

    /// Of no field.
    #[must_use]
    pub fn general(text: impl Into<String>) -> Self {
        Self { field: "", text: text.into() }
    }

    /// Whether something is wrong at all.
    #[must_use]
    pub fn is_some(&self) -> bool {
        !self.text.is_empty()
    }

    /// Whether it stands at the field of this name.
    #[must_use]
    pub fn is_at(&self, field: &str) -> bool {
        self.is_some() && self.field == field
    }

    /// Whether it belongs to no field, and stands above the form.
    #[must_use]
    pub fn is_general(&self) -> bool {
        self.is_some() && self.field.is_empty()
    }
}
