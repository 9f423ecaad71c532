//! Who and whether: principals from credentials, their facts and how fresh they are, and the acts that
//! begin and end access (mint, end, switch, disable).
//!
//! A request meets [`Access::recall`] or [`Access::authenticate`] first; everything it is told is a fact
//! for `policy` to judge. Acts demand the [`crate::policy::Permit`] of the gate, decide again inside their
//! transaction with full facts where the schema says so, and write their audit entries in it.

mod again;
mod background;
mod caller;
mod cancellation;
mod credentials;
mod directory;
mod disable;
mod end;
mod entries;
mod freshness;

mod known;
mod mint;
mod policy_change;
mod provision;
mod reason;
mod records;
mod service;
mod support_access;
mod transaction;
mod view;

pub use caller::{Caller, HandlerRefusal, OneTime, RequestInfo};
pub use cancellation::Cancellation;
pub use directory::{ImpersonationRecord, OrgSearch, Paged, PlatformUserRecord};
pub use disable::{ADMIN_ROLE, Cause, DisableRequest, Disabled, Enabled};
pub use end::{Ended, EndedAll};
pub use entries::entry;
pub use freshness::{Cluster, Following, Gateway, Lease, Rule};
pub use known::{Authenticated, CredentialError, Known};
pub use mint::{MintRequest, Minted};
pub use provision::{Issued, NewOrg, NewPerson};
pub use reason::Reason;
pub use service::{Access, AccessParts, AccessSettings};
pub use support_access::SupportAccess;
pub use transaction::ActError;
