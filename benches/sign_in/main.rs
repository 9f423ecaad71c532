//! `make bench`, fifth part: what a flood of sign-ins costs, itself and the requests beside it (see benches/README.md).
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

mod flood;
mod options;
#[path = "../support/mod.rs"]
mod support;

use flood::Flood;
use options::{Options, Role};
use support::at_rate::{A_MILLISECOND, at_rate};
use support::gateway::{Gateway, Setup, start};
use support::load::Target;
use support::machine;
use support::measure::{OTHER_CORE, median, pin_self, with_spread};
use support::process::start_stub;

/// As in the program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    match Options::read(std::env::args().skip(1)) {
        // `cargo test --all-targets` runs benches too, without this word.
        None => println!("sign_in: nothing measured; run `make bench`"),
        Some(Role::Stub) => support::stub::run(),
        Some(Role::Measure(options)) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(measure(&options));
        }
    }
}

/// One round: the same requests alone, and beside a flood.
struct Round {
    alone: (f64, f64),
    beside: (f64, f64),
    /// Passwords that were looked at, a second.
    hashed: f64,
    /// Told to come again, a second.
    turned_away: f64,
}

async fn measure(options: &Options) {
    let pinned = options.pinned && pin_self(OTHER_CORE);
    let cores = if pinned { "the gateway on a core of its own, one worker" } else { "not pinned" };
    println!("{}; {cores}", machine::name());
    let (_stub, upstream) = start_stub(pinned);
    let gateway = start(&Setup::pinned_to_one_worker(upstream, pinned));
    gateway.is_ready().await;
    let target =
        Target::get(gateway.address, gateway.address, &gateway.owner, 200, gateway.process.id(), u64::MAX);
    let idle = memory(&gateway, "VmRSS:");
    let mut rounds = Vec::new();
    for n in 0..options.rounds {
        let alone = at_rate(std::slice::from_ref(&target), options.window).await;
        let flood = Flood::start(gateway.address, options.connections);
        let beside = at_rate(std::slice::from_ref(&target), options.window).await;
        let (hashed, turned_away) = flood.stop();
        println!("round {}: {hashed:.0} passwords a second, {turned_away:.0} turned away", n + 1);
        rounds.push(Round { alone, beside, hashed, turned_away });
    }
    let ms = |of: fn(&Round) -> f64| with_spread(rounds.iter().map(move |r| of(r) / 1e3), 2);
    println!("\n| {} requests/s of a customer's | p50 ms | p99 ms |\n|---|---|---|", A_MILLISECOND * 1_000);
    println!("| alone | {} | {} |", ms(|r| r.alone.0), ms(|r| r.alone.1));
    println!("| beside the flood | {} | {} |", ms(|r| r.beside.0), ms(|r| r.beside.1));
    let ratio = |of: fn(&Round) -> f64| with_spread(rounds.iter().map(of), 2);
    println!("| ratio | {} | {} |", ratio(|r| r.beside.0 / r.alone.0), ratio(|r| r.beside.1 / r.alone.1));
    println!(
        "\n{} connections try to sign in all the time: {:.0} passwords a second, {:.0} turned away (429). \
         Memory at rest {idle} MiB, at most {} MiB.",
        options.connections,
        median(rounds.iter().map(|r| r.hashed)),
        median(rounds.iter().map(|r| r.turned_away)),
        memory(&gateway, "VmHWM:"),
    );
}

/// MiB, from proc(5).
fn memory(gateway: &Gateway, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.process.id())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(what)).expect("the kernel tells");
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}
