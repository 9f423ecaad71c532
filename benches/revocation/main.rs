//! `make bench`, third part: how soon a revocation is in force on three gateways (see benches/README.md).
//!
//! [`options`] what may be chosen, [`cluster`] what is measured, [`relay`] the way to the database that can be
//! blocked, [`round`] one revocation, [`report`] how it is told. Nothing is asserted of time.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that can't go on ends, and says why"
)]

mod cluster;
#[path = "../support/machine.rs"]
mod machine;
mod options;
mod relay;
mod report;
mod round;
mod support;

use cluster::Cluster;
use options::Options;
use round::{KINDS, Measured, Trouble};

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    // `cargo test --all-targets` runs benches too, without this word.
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        println!("revocation: nothing measured; run `make bench`");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure_all(&options));
}

async fn measure_all(options: &Options) {
    let (p50, p99) = machine::fsync(&std::env::temp_dir());
    println!("{}; fdatasync p50 {:.2} ms, p99 {:.2} ms", machine::name(), p50 / 1e3, p99 / 1e3);
    for (hints, how) in [(true, "hints by Redis"), (false, "no Redis: each gateway looks every 200 ms")] {
        let cluster = Cluster::start(hints).await;
        for (trouble, state) in [
            (Trouble::None, "three gateways"),
            (Trouble::Stopped, "one of three stopped (SIGSTOP)"),
            (Trouble::CutOff, "one of three cut off from the database"),
        ] {
            let rounds = if trouble == Trouble::None { options.rounds } else { options.troubled };
            let rows = measure(&cluster, trouble, rounds).await;
            println!("{}", report::table(&format!("{state}, {how}"), &rows));
            if trouble == Trouble::None {
                let all: Vec<&Measured> = rows.iter().flat_map(|(_, all)| all).collect();
                println!("{}", report::verdict(&all));
            }
        }
    }
}

/// Kinds alternate, so that noise of the machine meets all alike.
async fn measure(cluster: &Cluster, trouble: Trouble, rounds: usize) -> Vec<(&'static str, Vec<Measured>)> {
    let client = reqwest::Client::new();
    let mut rows: Vec<_> = KINDS.iter().map(|(_, name)| (*name, Vec::new())).collect();
    for n in 0..rounds * KINDS.len() {
        let at = n % KINDS.len();
        // The gateway that revokes changes with each turn of the kinds.
        let measured = round::run(cluster, n, KINDS[at].0, trouble, &client).await;
        rows[at].1.push(measured);
    }
    rows
}
