//! TLS of a listener: certificate and key from files, checked before anything is bound (Pingora's own
//! settings panic on a bad file, after the start), HTTP/2 by ALPN (RFC 7301).

use pingora::listeners::tls::Acceptor;
use pingora::protocols::ALPN;
use pingora::tls::{ServerConfig, install_default_crypto_provider, load_certs_and_key_files, version};
use std::path::PathBuf;
use std::sync::Arc;

/// Certificate chain and private key, as PEM files.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The chain, leaf first.
    pub certificate: PathBuf,
    /// The key: PKCS#1, PKCS#8 or SEC 1.
    pub key: PathBuf,
    /// Offer HTTP/2.
    pub http2: bool,
}

/// Files that TLS can't be spoken with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Unreadable, or no PEM.
    #[error("`{certificate}` or `{key}` can't be read as PEM")]
    Unreadable {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        #[source]
        source: Box<pingora::Error>,
    },
    /// PEM without what is needed.
    #[error("`{certificate}` has no certificate or `{key}` no private key")]
    Empty {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// They don't belong together, or can't be used.
    #[error("the certificate in `{certificate}` can't be used with the key in `{key}`")]
    Mismatch {
        /// The chain.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// What is wrong.
        #[source]
        source: pingora::tls::RusTlsError,
    },
}

/// An acceptor for TLS 1.2 and 1.3.
///
/// # Errors
/// [`TlsError`].
pub fn acceptor(files: &TlsFiles) -> Result<Acceptor, TlsError> {
    let (certificate, key) = (files.certificate.clone(), files.key.clone());
    let loaded = load_certs_and_key_files(&certificate.to_string_lossy(), &key.to_string_lossy());
    let (chain, private_key) = match loaded {
        Err(source) => return Err(TlsError::Unreadable { certificate, key, source }),
        Ok(None) => return Err(TlsError::Empty { certificate, key }),
        Ok(Some(loaded)) => loaded,
    };
    install_default_crypto_provider();
    let mut config = ServerConfig::builder_with_protocol_versions(&[&version::TLS12, &version::TLS13])
        .with_no_client_auth()
        .with_single_cert(chain, private_key)
        .map_err(|source| TlsError::Mismatch { certificate, key, source })?;
    config.alpn_protocols =
        if files.http2 { vec![b"h2".to_vec(), b"http/1.1".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    Ok(Acceptor::from_server_config(Arc::new(config)))
}

/// Whether a connection agreed on HTTP/2.
pub(super) fn is_http2(alpn: Option<&ALPN>) -> bool {
    matches!(alpn, Some(ALPN::H2))
}

#[cfg(test)]
mod tests {
    use super::{TlsError, TlsFiles, acceptor};

    #[test]
    fn bad_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let one = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        let certificate = write("cert.pem", &one.cert.pem());
        let key = write("key.pem", &one.signing_key.serialize_pem());
        let files = |certificate: &std::path::Path, key: &std::path::Path| TlsFiles {
            certificate: certificate.into(),
            key: key.into(),
            http2: true,
        };
        assert!(acceptor(&files(&certificate, &key)).is_ok());
        let missing = dir.path().join("missing.pem");
        let error = acceptor(&files(&missing, &key)).err().unwrap();
        assert!(matches!(error, TlsError::Unreadable { .. }) && error.to_string().contains("missing.pem"));
        let empty = write("empty.pem", "");
        assert!(matches!(acceptor(&files(&empty, &key)).err(), Some(TlsError::Empty { .. })));
        let foreign = write("foreign.pem", &other.signing_key.serialize_pem());
        assert!(matches!(acceptor(&files(&certificate, &foreign)).err(), Some(TlsError::Mismatch { .. })));
    }
}
