//! What may be chosen: `cargo bench --bench sign_in -- --rounds 5 --connections 128`.

use std::time::Duration;

/// What this process is for.
pub(crate) enum Role {
    /// The upstream.
    Stub,
    /// Measures.
    Measure(Options),
}

/// How it is measured.
pub(crate) struct Options {
    /// How often.
    pub(crate) rounds: usize,
    /// How long one measurement takes.
    pub(crate) window: Duration,
    /// How many try to sign in at once.
    pub(crate) connections: usize,
    /// The gateway has a core of its own, and no other.
    pub(crate) pinned: bool,
}

impl Options {
    /// `None`: neither a bench run nor a role of one.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Option<Role> {
        let mut options = Self { rounds: 3, window: Duration::from_secs(3), connections: 128, pinned: true };
        let mut is_bench = false;
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("`{arg}` needs a value"));
            match arg.as_str() {
                "--bench" => is_bench = true,
                "--stub" => return Some(Role::Stub),
                "--rounds" => options.rounds = value().parse().expect("a number of rounds"),
                "--seconds" => {
                    options.window = Duration::from_secs_f64(value().parse().expect("a number of seconds"));
                }
                "--connections" => options.connections = value().parse().expect("a number of connections"),
                "--not-pinned" => options.pinned = false,
                other => panic!("`{other}` is none of --rounds, --seconds, --connections, --not-pinned"),
            }
        }
        is_bench.then_some(Role::Measure(options))
    }
}
