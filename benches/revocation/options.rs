//! What may be chosen: `cargo bench --bench revocation -- --rounds 50 --troubled 20`.

/// How often is measured.
pub(crate) struct Options {
    /// Revocations of each kind, all gateways well.
    pub(crate) rounds: usize,
    /// Revocations of each kind with a gateway in trouble; each takes seconds.
    pub(crate) troubled: usize,
}

impl Options {
    /// `None`: no bench run.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self { rounds: 50, troubled: 5 };
        let mut is_bench = false;
        while let Some(arg) = args.next() {
            let mut number = || args.next().and_then(|n| n.parse().ok());
            match arg.as_str() {
                "--bench" => is_bench = true,
                "--rounds" => options.rounds = number().expect("`--rounds` needs a number"),
                "--troubled" => options.troubled = number().expect("`--troubled` needs a number"),
                other => panic!("`{other}` is none of --rounds, --troubled"),
            }
        }
        is_bench.then_some(options)
    }
}
