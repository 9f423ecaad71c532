//! `make bench`, fourth part: what the audit costs a request, and what a great log costs its readers (see
//! benches/README.md).
//!
//! [`options`] what may be chosen, [`engine`] the databases, [`requests`] impersonated requests beside others,
//! [`watch`] how far the sequencer is behind meanwhile; [`fill`] makes a log, [`entries`] of these, [`log`] reads it,
//! [`pages`] page by page, [`trees`] leaf by leaf, [`commands`] with the program's own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a measurement that can't go on ends, and says why"
)]

mod commands;
mod engine;
mod entries;
mod fill;
mod log;
mod options;
mod pages;
#[path = "../../tests/it/support/postgres.rs"]
mod postgres;
mod requests;
#[path = "../support/mod.rs"]
mod support;
mod trees;
mod watch;

use options::{Options, Role};
use support::machine;
use support::measure::{OTHER_CORE, pin_self};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    match Options::read(std::env::args().skip(1)) {
        // `cargo test --all-targets` runs benches too, without this word.
        None => println!("audit: nothing measured; run `make bench`"),
        Some(Role::Stub) => support::stub::run(),
        Some(Role::Measure(options)) => measure_all(&options),
    }
}

fn measure_all(options: &Options) {
    println!("{}", machine::name());
    if options.wants("requests") {
        let pinned = options.pin && pin_self(OTHER_CORE);
        // One thread: the load's connections share their figures without locks.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        println!("{}", runtime.block_on(requests::measure(options, pinned)));
    }
    if options.wants("log") {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(log::measure(options));
    }
}
