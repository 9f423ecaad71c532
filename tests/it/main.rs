//! The one test binary: whole programs, real servers, and rules about the source itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that can't go on fails; helpers aren't seen as tests by clippy.toml's exceptions"
)]

mod check_command;
mod config_default;
mod crash;
mod docs_links;
mod layering;
mod passthrough;
mod policy_files;
mod policy_slices;
mod raw;
mod story;
mod support;
