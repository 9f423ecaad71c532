//! `make bench`, first half: CPU per request of whole proxies, in alternating rounds (see benches/README.md).
//!
//! [`options`] what may be chosen, [`processes`] what is measured (`stock`, and `stub` and `gateway` of [`support`],
//! which asks and measures too), [`rounds`] in which order, [`report`] how it is told.
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

mod open_loop;
mod options;
mod processes;
mod report;
mod rounds;
mod stock;
#[path = "../support/mod.rs"]
mod support;

use options::{Options, Role};
use support::measure::{OTHER_CORE, pin_self};

fn main() {
    match Options::read(std::env::args().skip(1)) {
        // `cargo test --all-targets` runs benches too, without this word.
        None => println!("gate: nothing measured; run `make bench`"),
        Some(Role::Stub) => support::stub::run(),
        Some(Role::Stock { listen, upstream }) => stock::run(&listen, upstream),
        Some(Role::Measure(options)) => measure_all(&options),
    }
}

fn measure_all(options: &Options) {
    let pinned = pin_self(OTHER_CORE);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let proxies = processes::Proxies::start(options, pinned);
    println!("{}", report::heading(pinned, options));
    let rounds = runtime.block_on(rounds::run(options, &proxies));
    println!("{}", report::table(&rounds));
    if options.wants("audited") {
        println!("{}", runtime.block_on(rounds::many_connections(options, &proxies)));
        println!("{}", runtime.block_on(open_loop::added_latency(options, &proxies)));
    }
}
