//! Drawbridge: a gateway in front of a customer API.
#![forbid(unsafe_code)]

pub mod access;
pub mod audit;
pub mod cli;
pub mod demo;
pub mod domain;
pub mod identity;
pub mod policy;
pub mod store;
pub mod telemetry;
