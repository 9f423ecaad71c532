//! A value that must not be printed.

use zeroize::Zeroize;

/// A password, token or key in memory: never shown by `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Takes the value over.
    #[must_use]
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself. Call it where the value leaves the process, and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
