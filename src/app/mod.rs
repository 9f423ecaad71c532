//! Composition and life cycle: the one place that names concrete stores, and the order in which a gateway
//! starts and stops.
//!
//! [`compose`] puts the parts together; [`serve`] listens, follows signals and drains; [`dev`] is a whole
//! gateway with a demo API behind it, all embedded; [`admin`] answers operators.

mod admin;
mod bundled;
mod compose;
mod dev;
mod error;
mod inherited;
mod live;
mod logs;
mod reload;
mod run;
mod seed;
mod serve;
mod settings;
mod setup;
mod sign_in;
mod story;
mod witness;

pub use bundled::lay_out;
pub use compose::{Composition, compose, examine_records, migrate_database, open_access, open_access_alone};
pub use dev::{DevOptions, DevReady, dev};
pub use error::StartError;
pub use inherited::Sockets;
pub use logs::{Logs, open_logs, open_logs_in};
pub use run::{Running, start};
pub use seed::{People, seed};
pub use serve::serve;
pub use sign_in::{SignInAsked, SignInDone, sign_in};
pub use witness::WITNESS;
