//! `make cluster`: three gateways, a PostgreSQL, a Redis with a replica and three Sentinels and the demo API, all
//! real processes on free ports of the loopback, to try what one gateway alone can't show. Not for production:
//! `config/three-gateways.toml` is.
//!
//! `main` parses and waits, [`house`] starts things in order, [`gateway`] is one gateway as a process, [`tour`] is
//! what is printed. The servers are those of the tests.
#![allow(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for people at a terminal; its one line of data goes to stdout"
)]

mod gateway;
mod house;
#[path = "../../tests/it/support/postgres.rs"]
#[allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]
mod postgres;
#[path = "../../tests/it/support/redis.rs"]
#[allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]
mod redis;
mod tour;

use clap::{Parser, ValueEnum};
use house::House;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Three gateways on one PostgreSQL and one Redis, with demo data, until stopped.
#[derive(Parser)]
struct Args {
    /// The data folder: a second run on it goes on where the first was. Without it a temporary one
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// What is printed when ready: commands to paste, or one line of JSON
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// The program that gateways run; without it the one that was built beside this one
    #[arg(long, value_name = "FILE")]
    drawbridge: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// What went wrong, with its causes.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// `make` passes a SIGTERM on that its whole group got: what comes so soon after the first is the same wish.
const SAME_WISH: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    // The servers' code panics where a test would fail; here its message is enough.
    std::panic::set_hook(Box::new(|panic| {
        let told = panic.payload_as_str().unwrap_or("a fault in the program");
        eprintln!("cluster: {told}");
    }));
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let done = runtime.block_on(run(Args::parse()));
    runtime.shutdown_timeout(Duration::from_millis(500));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("cluster: {error}");
    let mut cause = error.source();
    while let Some(next) = cause {
        eprintln!("  because: {next}");
        cause = next.source();
    }
    ExitCode::FAILURE
}

async fn run(args: Args) -> Result<(), Failure> {
    let (mut interrupt, mut terminate, mut hangup) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    let started = House::start(args.data, args.drawbridge);
    let mut house = tokio::select! {
        house = Box::pin(started) => house?,
        () = any(&mut interrupt, &mut terminate) => return Ok(()),
    };
    match args.format {
        Format::Human => println!("{}", house.tour()),
        Format::Json => println!("{}", house.line()),
    }
    let mut look = tokio::time::interval(Duration::from_millis(50));
    loop {
        tokio::select! {
            () = any(&mut interrupt, &mut terminate) => break,
            Some(()) = hangup.recv() => {
                eprintln!("cluster: every gateway is started anew, one after another");
                tokio::select! {
                    result = house.roll() => match result {
                        Ok(()) => eprintln!("cluster: all gateways are new; `. {}` for their numbers", house.environment_file()),
                        Err(error) => eprintln!("cluster: {error}"),
                    },
                    () = any(&mut interrupt, &mut terminate) => break,
                }
            }
            _ = look.tick() => house.look()?,
        }
    }
    eprintln!("cluster: stopping; once more to stop at once");
    let begun = Instant::now();
    let again = async {
        loop {
            any(&mut interrupt, &mut terminate).await;
            if begun.elapsed() > SAME_WISH {
                break;
            }
        }
    };
    tokio::select! {
        () = house.stop() => {}
        () = again => eprintln!("cluster: stopped at once"),
    }
    Ok(())
}

async fn any(one: &mut Signal, other: &mut Signal) {
    tokio::select! { _ = one.recv() => {}, _ = other.recv() => {} }
}
