//! The data plane: every request from its first byte to its last.
//!
//! The order of the steps is the order of the modules: [`admit`] → [`authenticate`] → [`route`] →
//! [`authorize`] → `record` → [`forward`] (or `bridge`, for the gateway's own routes) → `outcome`. `gate`
//! strings them along Pingora's phases (`steps` before the upstream, `failure` after an error), and is, with `problem`, `bridge`, `upstream` and what stands below,
//! the only part that knows Pingora; the decision doesn't.
//!
//! Beneath: `listen` accepts and drains, `conn` and `request_line` are the connection as bytes (`malformed` answers what can't be parsed), `cut` ends
//! what is open under a session that ended.
//!
//! Not here: what is allowed (policy), who somebody is and whether that still holds (access), how entries
//! are written (audit), what the gateway's own routes do (control).

pub mod admit;
pub mod authenticate;
pub mod authorize;
mod bridge;
mod conn;
mod context;
mod cut;
mod failure;
pub mod forward;
mod gate;
pub mod host;
pub mod hygiene;
pub mod listen;
mod malformed;
mod open;
mod outcome;
pub mod path;
mod problem;
mod record;
pub mod refusal;
mod relay;
mod request_line;
pub mod route;
pub mod settings;
mod steps;
pub mod tls;
mod upstream;

pub use gate::{Gate, Parts};
pub use listen::{ListenError, ListenSettings, Listener, Running, serve};
pub use settings::GateSettings;
pub use tls::TlsFiles;
