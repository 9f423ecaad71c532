//! The one test binary: whole programs, real servers, and rules about the source itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that can't go on fails; helpers aren't seen as tests by clippy.toml's exceptions"
)]

mod accounts;
mod asked_again;
mod audit_entries;
mod audit_ocsf;
mod audit_proofs;
mod audit_tail;
mod audit_verify;
mod browser;
mod check_command;
mod cluster;
mod config_default;
mod config_examples;
mod crash;
mod database;
mod disk;
mod disk_faults;
mod docs_links;
mod drain;
mod endings;
mod history;
mod layering;
mod minting;
mod oauth;
mod oidc;
mod open_caps;
mod operate;
mod passthrough;
mod policy_files;
mod policy_reload;
mod policy_slices;
mod races;
mod raw;
mod reading;
mod records_restored;
mod retention;
mod review;
mod revocation;
mod rolling;
mod runbooks;
mod standards;
mod story;
mod streams;
mod support;
mod witness;
mod wycheproof;
