//! Who and whether: principals from credentials, their facts and how fresh they are, and the acts that
//! begin and end access (mint, end, switch, disable). Accounts of the vendor's staff, their passwords and second
//! factors are in [`accounts`]; how the customers' people sign in, in [`federation`].
//!
//! A request meets [`Access::recall`] or [`Access::authenticate`] first; everything it is told is a fact
//! for `policy` to judge. Acts demand the [`crate::policy::Permit`] of the gate, decide again inside their
//! transaction with full facts where the schema says so, and write their audit entries in it.

pub mod accounts;
mod address;
mod again;
mod background;
mod caller;
mod cancellation;
mod credentials;
mod directory;
mod disable;
mod end;
mod entries;
pub mod federation;
mod freshness;
mod keys;
mod known;
mod mint;
mod oauth;
mod people;
mod policy_change;
mod provision;
mod reason;
mod records;
mod sealed;
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
pub use oauth::{
    AuthorizationRequest, AuthorizeError, ClientAuthentication, CodeGrant, Introspection, OAuth, OAuthClient,
    OAuthError, OAuthSettings, Parameters, PresentedClient, SCOPE, TokenAnswer,
};
pub use people::{Changed, PersonChange, PersonRecord};
pub use provision::{Issued, NewOrg, NewPerson};
pub use reason::Reason;
pub use service::{Access, AccessParts, AccessSettings};
pub use support_access::SupportAccess;
pub use transaction::ActError;
