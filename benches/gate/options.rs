//! What may be chosen: `cargo bench --bench gate -- --rounds 9 --only stock,gate --beside OTHER_BUILD`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// What this process is for.
pub(crate) enum Role {
    /// The upstream.
    Stub,
    /// A Pingora that only forwards.
    Stock {
        /// Where it listens.
        listen: String,
        /// Where it forwards to.
        upstream: SocketAddr,
    },
    /// Starts the others and measures them.
    Measure(Options),
}

/// How it is measured.
pub(crate) struct Options {
    /// How often each row is measured.
    pub(crate) rounds: usize,
    /// How long one measurement takes, after its warming up.
    pub(crate) window: Duration,
    /// Keep-alive connections.
    pub(crate) connections: usize,
    /// Another build of the gateway, measured beside this one.
    pub(crate) beside: Option<PathBuf>,
    /// Rows to measure; empty: all.
    only: Vec<String>,
}

/// A measurement ends at this many requests, whatever its time.
pub(crate) const MOST_REQUESTS: u64 = 400_000;
/// The same under an impersonation: each request is four entries on the disk.
pub(crate) const MOST_AUDITED: u64 = 40_000;

impl Options {
    /// `None`: neither a bench run nor a role of one.
    pub(crate) fn read(args: impl Iterator<Item = String>) -> Option<Role> {
        let mut options = Self {
            rounds: 5,
            window: Duration::from_secs(2),
            connections: 64,
            beside: None,
            only: Vec::new(),
        };
        let mut is_bench = false;
        let mut args = args;
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("`{arg}` needs a value"));
            match arg.as_str() {
                "--bench" => is_bench = true,
                "--stub" => return Some(Role::Stub),
                "--stock" => {
                    let upstream = value().parse().expect("the upstream's address");
                    return Some(Role::Stock { listen: value(), upstream });
                }
                "--rounds" => options.rounds = value().parse().expect("a number of rounds"),
                "--seconds" => {
                    options.window = Duration::from_secs_f64(value().parse().expect("a number of seconds"));
                }
                "--connections" => options.connections = value().parse().expect("a number of connections"),
                "--beside" => options.beside = Some(value().into()),
                "--only" => options.only = value().split(',').map(str::to_owned).collect(),
                other => panic!("`{other}` is none of --rounds, --seconds, --connections, --beside, --only"),
            }
        }
        is_bench.then_some(Role::Measure(options))
    }

    /// Whether this row is to be measured.
    pub(crate) fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| o == row)
    }
}
