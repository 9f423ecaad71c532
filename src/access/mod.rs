//! Who and whether: principals from credentials, their facts and how fresh they are, and the acts that
//! begin and end access (mint, end, switch, disable).

mod caller;
mod cancellation;
mod known;

pub use caller::{Caller, OneTime, RequestInfo};
pub use cancellation::Cancellation;
pub use known::{Access, Authenticated, CredentialError, Known};
