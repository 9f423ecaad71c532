//! The gateway's own API: thin handlers that read a body, call an act of `access` and write its answer.
//!
//! A request comes here through the gate like any other: who it is and whether it may is settled, and the
//! permit is in the request's extensions. Nothing here decides.

mod error;
mod extract;
mod json;
mod pages;
mod routes;
mod state;
mod table;

pub use routes::{router, routes};
pub use state::ControlState;
use table::RouteTable;
