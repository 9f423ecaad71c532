//! What may be chosen: `cargo bench --bench audit -- --only log --entries 10000000 --engines postgres`.

use super::engine::Engine;
use std::path::PathBuf;
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
    /// `requests`, `log`; empty: both.
    only: Vec<String>,
    /// As chosen; `None`: both for requests, SQLite for the log.
    engines: Option<Vec<Engine>>,
    /// How often each row of the requests is measured.
    pub(crate) rounds: usize,
    /// How long one measurement takes, after its warming up.
    pub(crate) window: Duration,
    /// Numbers of keep-alive connections.
    pub(crate) connections: Vec<usize>,
    /// The gateway alone on one core, with one worker.
    pub(crate) pin: bool,
    /// Entries of all logs together, at least.
    entries: Option<u64>,
    /// Where the log is kept and found again; `None`: it goes with the run.
    pub(crate) data: Option<PathBuf>,
}

impl Options {
    /// `None`: neither a bench run nor a role of one.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Option<Role> {
        let mut options = Self {
            only: Vec::new(),
            engines: None,
            rounds: 3,
            window: Duration::from_secs(1),
            connections: vec![1, 8, 64, 512],
            pin: false,
            entries: None,
            data: None,
        };
        let mut is_bench = false;
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("`{arg}` needs a value"));
            match arg.as_str() {
                "--bench" => is_bench = true,
                "--stub" => return Some(Role::Stub),
                "--only" => options.only = value().split(',').map(str::to_owned).collect(),
                "--engines" => options.engines = Some(value().split(',').map(Engine::from_name).collect()),
                "--postgres" => options.engines = Some(vec![Engine::Sqlite, Engine::Postgres]),
                "--rounds" => options.rounds = value().parse().expect("a number of rounds"),
                "--seconds" => {
                    options.window = Duration::from_secs_f64(value().parse().expect("a number of seconds"));
                }
                "--connections" => {
                    options.connections =
                        value().split(',').map(|n| n.parse().expect("numbers of connections")).collect();
                }
                "--pin" => options.pin = true,
                "--entries" => options.entries = Some(value().parse().expect("a number of entries")),
                "--data" => options.data = Some(value().into()),
                other => panic!(
                    "`{other}` is none of --only, --engines, --postgres, --rounds, --seconds, --connections, --pin, --entries, --data"
                ),
            }
        }
        is_bench.then_some(Role::Measure(options))
    }

    /// Whether this part is to be measured.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|o| o == part)
    }

    /// Where; `otherwise` when nothing was chosen.
    pub(crate) fn engines(&self, otherwise: &[Engine]) -> Vec<Engine> {
        self.engines.clone().unwrap_or_else(|| otherwise.to_vec())
    }

    /// A million, or what was asked for; a tenth of that beside the other part, so that the whole is done soon.
    pub(crate) fn entries(&self) -> u64 {
        self.entries.unwrap_or(if self.only.is_empty() { 100_000 } else { 1_000_000 })
    }
}
