//! The vocabulary: identifiers, people, time, events. No I/O, no async, no other module of the crate.
//!
//! Main types: [`Session`] (who a request is made by, as known at one moment), [`Org`], the
//! identifiers in [`ids`], [`RevokeReason`], [`Event`], [`Clock`].

mod clock;
mod email;
mod error;
mod event;
mod facts;
mod fail_point;
mod format;
pub mod ids;
pub mod problem;
pub mod retention;
mod secret;
mod text;

pub use clock::{Clock, Millis, ShiftedClock, SystemClock, boot_time, parse_rfc3339, rfc3339};
pub use email::{email_key, is_email};
pub use error::with_causes;
pub use event::{Event, RevokeReason};
pub use facts::{
    Bot, Impersonation, Membership, Org, OrgRole, OrgStatus, OrgUser, PlatformUser, Principal, Session,
};
pub use fail_point::{FAIL_POINTS, fail_point};
pub use format::Format;
pub use retention::Retention;
pub use secret::Secret;
pub use text::visible_length;
