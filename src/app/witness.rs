//! The witness that the configuration names.

use super::error::StartError;
use crate::audit::tree::VerifierKey;
use crate::audit::witness::{Witness, WitnessError};
use crate::config::{Config, WitnessAt};
use crate::domain::Clock;
use std::sync::Arc;

/// The state of the witness of a gateway that is alone with its data folder, in that folder.
pub const WITNESS: &str = "witness";

/// Opens it. `log` is the key of one of the logs. On SQLite there is one in any case: if nothing else is set, in the
/// data folder, where it notices a database that was put back without the rest.
///
/// # Errors
/// [`StartError::Witness`].
pub(super) fn open(
    config: &Config,
    log: &VerifierKey,
    clock: Arc<dyn Clock>,
) -> Result<Option<Arc<Witness>>, StartError> {
    let opened: Result<Witness, WitnessError> = match &config.audit.witness {
        None if config.database.url.is_some() => return Ok(None),
        None => Witness::file(&config.data.dir.join(WITNESS), log, clock),
        Some(WitnessAt::File(path)) => Witness::file(path, log, clock),
        Some(WitnessAt::Url { url, key }) => Witness::url(url.as_str(), key),
    };
    let witness = opened?;
    tracing::info!(key = %witness.verifier_key(), "checkpoints are cosigned by a witness");
    Ok(Some(Arc::new(witness)))
}
