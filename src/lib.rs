//! Drawbridge: a gateway in front of a customer API.
//!
//! The map, in the order in which a request meets the modules (`docs/life-of-a-request.md` tells it as a story):
//!
//! | module | what it is for |
//! |---|---|
//! | [`access`] | who is asking, the facts about them and how fresh they are; the acts that begin and end access |
//! | [`policy`] | the Cedar schemas as route table, the policy files, the one decision; `Permit` is made here |
//! | [`audit`] | the two logs: entries, the dual writer, queries |
//! | [`control`] | the gateway's own API: handlers over the acts of `access` |
//! | [`console`] | pages: templates, style sheet, security headers |
//! | [`identity`] | keys, tokens, the upstream's assertion |
//! | [`store`] | records in SQL, the change log, live sessions |
//! | [`config`], [`telemetry`], [`domain`] | settings; metrics and access log; the vocabulary |
//! | [`demo`] | a customer API to try it in front of |
#![forbid(unsafe_code)]

pub mod access;
pub mod app;
pub mod audit;
pub mod cli;
pub mod config;
pub mod console;
pub mod control;
pub mod demo;
pub mod domain;
pub mod gateway;
pub mod identity;
pub mod policy;
pub mod store;
pub mod telemetry;
