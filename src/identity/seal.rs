//! Secrets at rest: AES-256-GCM under the master key (NIST SP 800-38D), a random nonce each time.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroize as _;

/// Why a secret can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The master key file can't be read or made.
    #[error("the master key `{path}` can't be used", path = path.display())]
    File {
        /// Where it should be.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The master key file doesn't hold 32 bytes.
    #[error("the master key `{path}` must hold exactly 32 bytes", path = path.display())]
    Length {
        /// Where it is.
        path: PathBuf,
    },
    /// Sealed with another master key, or changed since.
    #[error("a sealed secret doesn't open with this master key")]
    Sealed,
    /// The system gives no random bytes.
    #[error("no random bytes from the system")]
    Entropy,
}

/// Seals and opens small secrets with the master key.
pub struct Sealer {
    key: LessSafeKey,
    /// What other keys are derived from.
    root: Prk,
}

impl Sealer {
    /// Reads the master key, or makes one (readable by the owner only) where none is.
    ///
    /// # Errors
    /// [`SealError`] when the file can't be used.
    pub fn open_or_create(path: &Path) -> Result<Self, SealError> {
        let file = |source| SealError::File { path: path.to_owned(), source };
        let mut bytes = Vec::with_capacity(32);
        match OpenOptions::new().read(true).open(path) {
            Ok(mut opened) => {
                opened.read_to_end(&mut bytes).map_err(file)?;
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                bytes.resize(32, 0);
                aws_lc_rs::rand::fill(&mut bytes).map_err(|_| SealError::Entropy)?;
                let mut made =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(file)?;
                made.write_all(&bytes).and_then(|()| made.sync_all()).map_err(file)?;
            }
            Err(e) => return Err(file(e)),
        }
        let key =
            UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::Length { path: path.to_owned() })?;
        let root = Salt::new(HKDF_SHA256, b"drawbridge master key").extract(&bytes);
        bytes.zeroize();
        Ok(Self { key: LessSafeKey::new(key), root })
    }

    /// A key for the purpose that `label` names, derived from the master key (HKDF-SHA256, RFC 5869, with `label`
    /// as info): the same in every gateway that has the master key, and of no use for another purpose.
    ///
    /// # Errors
    /// [`SealError::Sealed`], which doesn't happen: 32 bytes are within HKDF's limit.
    pub fn derive(&self, label: &str) -> Result<[u8; 32], SealError> {
        let mut key = [0_u8; 32];
        let info = [label.as_bytes()];
        let expanded = self.root.expand(&info, HKDF_SHA256).map_err(|_| SealError::Sealed)?;
        expanded.fill(&mut key).map_err(|_| SealError::Sealed)?;
        Ok(key)
    }

    /// A sealer with a key of its own, for the purpose that `label` names: what is sealed there says nothing of this
    /// key, however much it is (random nonces are good for 2^32 messages, NIST SP 800-38D §8.3).
    ///
    /// # Errors
    /// As [`Sealer::derive`].
    pub fn for_purpose(&self, label: &str) -> Result<Self, SealError> {
        let mut bytes = self.derive(label)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| SealError::Sealed)?;
        let root = Salt::new(HKDF_SHA256, b"drawbridge master key").extract(&bytes);
        bytes.zeroize();
        Ok(Self { key: LessSafeKey::new(key), root })
    }

    /// Seals `secret`; `name` (for example the key id) is bound to it, so that sealed values can't be swapped.
    ///
    /// # Errors
    /// [`SealError::Entropy`], [`SealError::Sealed`].
    pub fn seal(&self, name: &str, secret: &[u8]) -> Result<String, SealError> {
        let mut nonce = [0_u8; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| SealError::Entropy)?;
        let mut sealed = secret.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(name.as_bytes()),
                &mut sealed,
            )
            .map_err(|_| SealError::Sealed)?;
        Ok(format!("{}.{}", BASE64.encode(nonce), BASE64.encode(sealed)))
    }

    /// Opens what [`Sealer::seal`] made under the same `name`.
    ///
    /// # Errors
    /// [`SealError::Sealed`] for anything else.
    pub fn open(&self, name: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let (nonce, body) = sealed.split_once('.').ok_or(SealError::Sealed)?;
        let nonce = BASE64.decode(nonce).ok().and_then(|n| <[u8; NONCE_LEN]>::try_from(n).ok());
        let nonce = nonce.ok_or(SealError::Sealed)?;
        let mut body = BASE64.decode(body).map_err(|_| SealError::Sealed)?;
        let opened = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(name.as_bytes()), &mut body)
            .map_err(|_| SealError::Sealed)?;
        Ok(opened.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_with_the_same_key_and_name() {
        let dir = tempfile::tempdir().unwrap();
        let one = Sealer::open_or_create(&dir.path().join("a")).unwrap();
        let again = Sealer::open_or_create(&dir.path().join("a")).unwrap();
        let other = Sealer::open_or_create(&dir.path().join("b")).unwrap();
        let sealed = one.seal("kid-1", b"secret").unwrap();
        assert_eq!(again.open("kid-1", &sealed).unwrap(), b"secret");
        assert!(again.open("kid-2", &sealed).is_err());
        assert!(other.open("kid-1", &sealed).is_err());
        assert!(again.open("kid-1", "x.y").is_err());
    }

    #[test]
    fn derived_keys_differ_by_label_and_master_key() {
        let dir = tempfile::tempdir().unwrap();
        let one = Sealer::open_or_create(&dir.path().join("a")).unwrap();
        let again = Sealer::open_or_create(&dir.path().join("a")).unwrap();
        let other = Sealer::open_or_create(&dir.path().join("b")).unwrap();
        assert_eq!(one.derive("live").unwrap(), again.derive("live").unwrap());
        assert_ne!(one.derive("live").unwrap(), one.derive("dead").unwrap());
        assert_ne!(one.derive("live").unwrap(), other.derive("live").unwrap());
    }

    #[test]
    fn a_short_key_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("k"), b"short").unwrap();
        assert!(matches!(Sealer::open_or_create(&dir.path().join("k")), Err(SealError::Length { .. })));
    }
}
