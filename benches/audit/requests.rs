//! Impersonated requests beside the same gateway's requests of an org user, which no transaction holds up.

use super::engine::{Engine, Postgres};
use super::options::Options;
use super::support::at_rate::{A_MILLISECOND, at_rate};
use super::support::gateway::{self, Gateway, Setup};
use super::support::load::{Target, closed_loop};
use super::support::machine::fsync;
use super::support::measure::{Cost, median, spread, with_spread};
use super::support::process::start_stub;
use super::support::scrape::histogram_quantile;
use super::watch::{Lag, Watch};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// A measurement ends at this many requests, whatever its time.
const MOST: u64 = 400_000;
/// Live grants of one member of staff: as many as may be.
const GRANTS: usize = 5;
/// One session may have as many requests open as there are connections; an impersonation lives long enough; a commit
/// that takes long is to be seen, not refused.
const MORE: &str = "[limits]\nopen_requests_per_session = 0\n[impersonation]\nttl_seconds = 28800\n\
                    [audit]\ncommit_timeout_ms = 60000\n";
const COMMIT: &str = "drawbridge_audit_commit_seconds";

/// One audited measurement: how long a transaction took, ms, and how far sequencing was behind.
struct Audit {
    commit: f64,
    commit_p99: f64,
    lag: Lag,
}

/// One row of the table.
struct Row {
    engine: Engine,
    connections: usize,
    plain: Vec<Cost>,
    audited: Vec<Cost>,
    audit: Vec<Audit>,
    /// p50 and p99 of the disk, µs.
    disk: Vec<(f64, f64)>,
}

/// A gateway on one engine, and what is asked of it.
struct Measured {
    gate: Gateway,
    engine: Engine,
    plain: Vec<Target>,
    /// One for each grant.
    audited: Vec<Target>,
    _postgres: Option<Postgres>,
}

/// Measures; tables.
pub(crate) async fn measure(options: &Options, pinned: bool) -> String {
    let (_stub, upstream) = start_stub(pinned);
    let mut text = format!(
        "\nrequests: gateway {}; {} rounds of {:?}, alternating\n",
        if pinned { "pinned to one core, one worker" } else { "not pinned, one worker for each core" },
        options.rounds,
        options.window,
    );
    let (mut closed, mut open) = (Vec::new(), Vec::new());
    for engine in options.engines(&Engine::ALL) {
        let measured = Measured::start(engine, upstream, pinned).await;
        for connections in &options.connections {
            closed.push(measured.closed(*connections, options).await);
        }
        open.push(measured.open(options).await);
    }
    closed_table(&mut text, &closed);
    open_table(&mut text, &open);
    text
}

impl Measured {
    async fn start(engine: Engine, upstream: SocketAddr, pinned: bool) -> Self {
        let postgres = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(Postgres::start(None).await),
        };
        let setup = Setup {
            workers: pinned.then_some(1),
            database: postgres.as_ref().map(|p| p.url.as_str()),
            more: MORE,
            ..Setup::pinned_to_one_worker(upstream, pinned)
        };
        let gate = gateway::start(&setup);
        gate.is_ready().await;
        let target =
            |token: &str| Target::get(gate.address, gate.address, token, 200, gate.process.id(), MOST);
        let plain = vec![target(&gate.owner)];
        let mut audited = Vec::new();
        for _ in 0..GRANTS {
            for staff in [&gate.staff, &gate.staff2] {
                audited.push(target(&gate.mint_as(staff).await));
            }
        }
        Self { gate, engine, plain, audited, _postgres: postgres }
    }

    /// One row. In every second round the audited ones come first.
    async fn closed(&self, connections: usize, options: &Options) -> Row {
        let (plain, audited, audit, disk) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut row = Row { engine: self.engine, connections, plain, audited, audit, disk };
        for round in 0..options.rounds {
            for step in 0..2 {
                if (round + step) % 2 == 0 {
                    let cost = closed_loop(&self.plain, connections, options.window).await;
                    row.plain.push(cost);
                    continue;
                }
                row.disk.push(fsync(self.gate.data.path()));
                let load = closed_loop(&self.audited, connections, options.window);
                let (cost, audit) = self.audited(load).await;
                row.audited.push(cost);
                row.audit.push(audit);
            }
            let rate = |costs: &[Cost]| costs.last().map_or(f64::NAN, |c| c.rate);
            eprintln!(
                "{} {connections} connections, round {}: {:.0}/s, audited {:.0}/s",
                self.engine.name(),
                round + 1,
                rate(&row.plain),
                rate(&row.audited),
            );
        }
        row
    }

    /// Runs `load`, and looks what the audit did meanwhile.
    async fn audited<T>(&self, load: impl Future<Output = T>) -> (T, Audit) {
        let before = self.gate.scrape().await;
        let watch = Watch::start(self.gate.admin);
        let done = load.await;
        let lag = watch.end().await;
        let after = self.gate.scrape().await;
        let gained = |what| {
            let name = format!("{COMMIT}_{what}");
            after.figure(&name) - before.figure(&name)
        };
        let commit = gained("sum") * 1e3 / gained("count");
        let commit_p99 = histogram_quantile(&before, &after, COMMIT, 0.99) * 1e3;
        (done, Audit { commit, commit_p99, lag })
    }

    /// One row of the open loop, ready to be printed.
    async fn open(&self, options: &Options) -> String {
        let (mut added, mut audits, mut disk) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..options.rounds {
            disk.push(fsync(self.gate.data.path()));
            let without = at_rate(&self.plain, options.window).await;
            let (with, audit) = self.audited(at_rate(&self.audited, options.window)).await;
            let this = ((with.0 - without.0) / 1e3, (with.1 - without.1) / 1e3);
            eprintln!(
                "{} open loop, round {}: p50 {:.2} ms, p99 {:.2} ms",
                self.engine.name(),
                round + 1,
                this.0,
                this.1
            );
            added.push(this);
            audits.push(audit);
        }
        format!(
            "| {} | {} | {} | {} | {} |",
            self.engine.name(),
            with_spread(added.iter().map(|a| a.0), 2),
            with_spread(added.iter().map(|a| a.1), 2),
            of_audit(&audits, &disk),
            of_lag(&audits),
        )
    }
}

fn closed_table(text: &mut String, rows: &[Row]) {
    writeln!(
        text,
        "\n| engine | connections | not audited, requests/s | audited, requests/s | ratio (smallest–largest) | added p50 / p99 ms | a commit, mean / p99 ms | fdatasync p50 / p99 ms | unsequenced: transactions, age s, caught up s |\n\
         |---|---|---|---|---|---|---|---|---|"
    )
    .unwrap();
    for row in rows {
        let both = || row.plain.iter().zip(&row.audited);
        writeln!(
            text,
            "| {} | {} | {:.0} | {:.0} | {} | {:.2} / {:.2} | {} | {} |",
            row.engine.name(),
            row.connections,
            median(row.plain.iter().map(|c| c.rate)),
            median(row.audited.iter().map(|c| c.rate)),
            with_spread(both().map(|(p, a)| a.rate / p.rate), 2),
            median(both().map(|(p, a)| (a.p50 - p.p50) / 1e3)),
            median(both().map(|(p, a)| (a.p99 - p.p99) / 1e3)),
            of_audit(&row.audit, &row.disk),
            of_lag(&row.audit),
        )
        .unwrap();
    }
}

fn open_table(text: &mut String, rows: &[String]) {
    writeln!(
        text,
        "\n{} requests/s, whether or not they are answered:\n\n\
         | engine | added p50 ms | added p99 ms | a commit, mean / p99 ms | fdatasync p50 / p99 ms | unsequenced: transactions, age s, caught up s |\n\
         |---|---|---|---|---|---|",
        A_MILLISECOND * 1000
    )
    .unwrap();
    for row in rows {
        writeln!(text, "{row}").unwrap();
    }
}

fn of_audit(audits: &[Audit], disk: &[(f64, f64)]) -> String {
    format!(
        "{:.2} / {:.2} | {:.2} / {:.2}",
        median(audits.iter().map(|a| a.commit)),
        median(audits.iter().map(|a| a.commit_p99)),
        median(disk.iter().map(|d| d.0 / 1e3)),
        median(disk.iter().map(|d| d.1 / 1e3)),
    )
}

/// The worst of all rounds.
fn of_lag(audits: &[Audit]) -> String {
    let most = |of: fn(&Audit) -> f64| spread(audits.iter().map(of)).1;
    format!(
        "{:.0}, {:.2}, {:.2}",
        most(|a| a.lag.transactions),
        most(|a| a.lag.age),
        most(|a| a.lag.caught_up)
    )
}
