//! `make bench`, second half: what a decision costs inside the process, without sockets (see benches/README.md).
//!
//! [`fixture`] a gateway's parts without its listener, [`extra`] ten thousand policies more, [`steps`] the
//! timed steps, [`memory`] a hundred thousand sessions, of [`people`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that can't go on ends, and says why"
)]

mod extra;
mod fixture;
mod memory;
mod people;
mod steps;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `cargo test --all-targets` runs benches too, without this word.
    if !std::env::args().any(|arg| arg == "--bench") {
        println!("decide: nothing measured; run `make bench`");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let fixture = fixture::Fixture::start().await;
        println!("{}", steps::table(&fixture).await);
        println!("{}", memory::many(&fixture).await);
    });
}
