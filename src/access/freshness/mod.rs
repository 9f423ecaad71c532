//! How fresh a gateway's view is, and how a change gets into force on every gateway (architecture §5.2–§5.4).
//!
//! Three parties: [`Lease`] says until when a view may be trusted; `renewal` extends it, on a thread of its own,
//! after `follower` has applied the change log; `everywhere` is what a revoking call waits for before it
//! answers. `divergence` is for records that were put back to an earlier state.

mod divergence;
mod everywhere;
mod follower;
mod gateways;
mod lease;
mod renewal;
mod rule;

pub use gateways::Gateway;
pub use lease::Lease;
pub use renewal::Following;
pub use rule::Rule;

pub(super) use follower::{Followed, Follower};
pub(super) use lease::Freshness;

use crate::domain::ids::BootId;
use gateways::Sightings;

/// One gateway among several that share their records.
pub struct Cluster {
    /// This process.
    boot: BootId,
    /// For people: where it listens.
    name: String,
    sightings: Sightings,
}

impl Cluster {
    /// `boot` is new with each process; `name` is for people.
    #[must_use]
    pub fn new(boot: BootId, name: String) -> Self {
        Self { boot, name, sightings: Sightings::default() }
    }
}
