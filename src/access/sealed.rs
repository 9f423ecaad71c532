//! What goes through a browser and comes back: sealed, for a while, for one use.

use crate::domain::Millis;
use crate::identity::{SealError, Sealer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A key of its own for each purpose: strangers make it seal as often as they like, which must not wear out the master
/// key.
pub(super) struct BrowserSeal(Sealer);

#[derive(Serialize, Deserialize)]
struct Sealed<T> {
    until: Millis,
    value: T,
}

impl BrowserSeal {
    /// `sealer` holds the master key.
    ///
    /// # Errors
    /// [`SealError`].
    pub(super) fn new(sealer: &Sealer, purpose: &'static str) -> Result<Self, SealError> {
        Ok(Self(sealer.for_purpose(purpose)?))
    }

    /// Seals `value` as something of this `kind`, to be opened until `until`. Of characters that need no escape in a
    /// URL. `None` when the system has no random bytes.
    pub(super) fn seal<T: Serialize>(&self, kind: &str, until: Millis, value: &T) -> Option<String> {
        let json = serde_json::to_vec(&Sealed { until, value }).ok()?;
        let sealed = self.0.seal(kind, &json).ok()?;
        Some(sealed.replace('+', "-").replace('/', "_"))
    }

    /// Opens what was sealed as this `kind`; `None` for anything else, and once its time is over.
    pub(super) fn open<T: DeserializeOwned>(&self, kind: &str, now: Millis, sealed: &str) -> Option<T> {
        let sealed = sealed.replace('-', "+").replace('_', "/");
        let json = self.0.open(kind, &sealed).ok()?;
        let Sealed { until, value } = serde_json::from_slice(&json).ok()?;
        (now < until).then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_one_use_and_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str| {
            let sealer = Sealer::open_or_create(&folder.path().join(name)).unwrap();
            BrowserSeal::new(&sealer, "test").unwrap()
        };
        let (one, other) = (of("a"), of("b"));
        let sealed = one.seal("ticket", 1_000, &"value").unwrap();
        assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)), "{sealed}");
        assert_eq!(one.open::<String>("ticket", 999, &sealed).as_deref(), Some("value"));
        assert_eq!(one.open::<String>("ticket", 1_000, &sealed), None, "its time is over");
        assert_eq!(one.open::<String>("authorization", 999, &sealed), None, "of another kind");
        assert_eq!(other.open::<String>("ticket", 999, &sealed), None, "of another installation");
        assert_eq!(one.open::<String>("ticket", 999, "x.y"), None);
    }
}
