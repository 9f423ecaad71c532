//! What `dev` lays out in its data folder: policies and schemas as delivered, a certificate, files for one
//! pair of eyes. What is there already stays as it was edited, but for the platform's schema.

use super::error::StartError;
use crate::config::{Origin, Tls};
use crate::policy::defaults;
use crate::policy::schema::permissive;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Stands in every generated schema.
const GENERATED: &str = "It was generated";

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> StartError + '_ {
    |source| StartError::File { path: path.to_owned(), source }
}

/// Policies and schemas. In front of a service that isn't the demo (`upstream`) its schema takes the demo's
/// place: the one that is given, or a permissive one.
///
/// # Errors
/// [`StartError::File`].
pub fn lay_out(
    policies: &Path,
    schemas: &Path,
    upstream: Option<&Origin>,
    schema: Option<&Path>,
) -> Result<(), StartError> {
    fs::create_dir_all(policies).map_err(failed(policies))?;
    fs::create_dir_all(schemas).map_err(failed(schemas))?;
    for (name, text) in defaults::POLICIES {
        write_new(&policies.join(name), text)?;
    }
    // This one tells what the gateway supplies: another version's is of no use, and an edited one is refused.
    let (name, text) = defaults::PLATFORM_SCHEMA;
    let platform = schemas.join(name);
    fs::write(&platform, text).map_err(failed(&platform))?;
    let (name, text) = defaults::DEMO_SCHEMA;
    let customer = schemas.join(name);
    let generated = fs::read_to_string(&customer).is_ok_and(|there| there.contains(GENERATED));
    match (schema, upstream) {
        (Some(given), _) => {
            let text = fs::read_to_string(given).map_err(failed(given))?;
            fs::write(&customer, text).map_err(failed(&customer))
        }
        // Routes that somebody has declared for this service since are left alone.
        (None, Some(origin)) if generated || !customer.exists() || is_demo(&customer) => {
            fs::write(&customer, permissive(&origin.to_string())).map_err(failed(&customer))
        }
        // A folder that stood in front of another service before gets the demo's routes back.
        (None, None) if generated => fs::write(&customer, text).map_err(failed(&customer)),
        (None, _) => write_new(&customer, text),
    }
}

fn is_demo(customer: &Path) -> bool {
    fs::read_to_string(customer).is_ok_and(|there| there == defaults::DEMO_SCHEMA.1)
}

fn write_new(path: &Path, text: &str) -> Result<(), StartError> {
    if path.exists() {
        return Ok(());
    }
    fs::write(path, text).map_err(failed(path))
}

/// Writes a file that only its owner may read.
pub(super) fn write_private(path: &Path, text: &str) -> Result<(), StartError> {
    let temporary = path.with_extension("new");
    drop(fs::remove_file(&temporary));
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(failed(&temporary))?;
    file.write_all(text.as_bytes()).map_err(failed(&temporary))?;
    fs::rename(&temporary, path).map_err(failed(path))
}

/// A self-signed certificate for this machine's own names, made once.
pub(super) fn self_signed(data: &Path) -> Result<Tls, StartError> {
    let tls = Tls { cert: data.join("dev-cert.pem"), key: data.join("dev-key.pem") };
    if tls.cert.exists() && tls.key.exists() {
        return Ok(tls);
    }
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)
        .map_err(|e| StartError::Gate(format!("no certificate can be made: {e}")))?;
    write_private(&tls.key, &made.signing_key.serialize_pem())?;
    fs::write(&tls.cert, made.cert.pem()).map_err(failed(&tls.cert))?;
    Ok(tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_an_earlier_version_gets_todays_schema_and_keeps_its_edits() {
        let data = tempfile::tempdir().unwrap();
        let (policies, schemas) = (data.path().join("policies"), data.path().join("schemas"));
        lay_out(&policies, &schemas, None, None).unwrap();
        let (name, delivered) = defaults::PLATFORM_SCHEMA;
        let (first, _) = defaults::POLICIES[0];
        fs::write(schemas.join(name), "entity Org;").unwrap();
        fs::write(policies.join(first), "// edited\n").unwrap();
        lay_out(&policies, &schemas, None, None).unwrap();
        assert_eq!(fs::read_to_string(schemas.join(name)).unwrap(), delivered);
        assert_eq!(fs::read_to_string(policies.join(first)).unwrap(), "// edited\n");
    }
}
