//! The change log: whatever a gateway may cache changes only together with a record here (architecture §5.2).

use super::db::{StoreError, Tx};
use crate::domain::RevokeReason;
use crate::domain::ids::Subject;
use serde::{Deserialize, Serialize};

/// What a change does to those under its subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Facts changed: read them again.
    Changed,
    /// Sessions of these subjects are over: cut what is open under them.
    Ended(Option<RevokeReason>),
}

/// One record of the change log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeRecord {
    /// What happened.
    pub effect: Effect,
    /// To whom.
    pub subjects: Vec<Subject>,
}

/// The number of the newest change that this transaction can see. Read it before the rows that are stamped with it.
pub async fn head(_tx: &mut Tx) -> Result<u64, StoreError> {
    unimplemented!()
}

/// Appends `record` under the head row's lock, which must be the last lock that the transaction takes. Gives its number.
pub async fn append(_tx: &mut Tx, _record: &ChangeRecord) -> Result<u64, StoreError> {
    unimplemented!()
}
