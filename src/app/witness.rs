//! The witness that the configuration names.

use super::error::StartError;
use crate::audit::tree::VerifierKey;
use crate::audit::witness::{Witness, WitnessError};
use crate::config::{Audit, WitnessAt};
use crate::domain::Clock;
use std::sync::Arc;

/// Opens it. `log` is the key of one of the logs.
///
/// # Errors
/// [`StartError::Witness`].
pub(super) fn open(
    config: &Audit,
    log: &VerifierKey,
    clock: Arc<dyn Clock>,
) -> Result<Option<Arc<Witness>>, StartError> {
    let opened: Result<Witness, WitnessError> = match &config.witness {
        None => return Ok(None),
        Some(WitnessAt::File(path)) => Witness::file(path, log, clock),
        Some(WitnessAt::Url { url, key }) => Witness::url(url.as_str(), key),
    };
    let witness = opened?;
    tracing::info!(key = %witness.verifier_key(), "checkpoints are cosigned by a witness");
    Ok(Some(Arc::new(witness)))
}
