//! The order: each round measures every row once, forwards and backwards in turn.

use super::options::{MOST_AUDITED, MOST_REQUESTS, Options};
use super::processes::Proxies;
use super::support::gateway::Gateway;
use super::support::load::{Target, closed_loop};
use super::support::machine::fsync;
use super::support::measure::{Cost, median};
use std::slice;
use std::time::Duration;

/// One row of the table.
pub(crate) struct Row {
    /// How it is chosen with `--only`.
    pub(crate) key: &'static str,
    /// How it is told.
    pub(crate) name: &'static str,
    target: Target,
    /// One for each round.
    pub(crate) costs: Vec<Cost>,
}

/// All rows.
pub(crate) struct Rounds {
    /// In their order.
    pub(crate) rows: Vec<Row>,
    /// What is told of the disk and of group commit.
    pub(crate) audit: String,
}

fn targets(proxies: &Proxies, grant: &str) -> Vec<Row> {
    let row = |key, name, target| Row { key, name, target, costs: Vec::new() };
    let (stub, upstream) = (&proxies.stub.0, proxies.stub.1);
    let (stock, plain) = (&proxies.stock.0, proxies.stock.1);
    let gate = &proxies.gateway;
    let ask = |gate: &Gateway, token: &str, status, most| {
        Target::get(gate.address, gate.address, token, status, gate.process.id(), most)
    };
    let of_owner = |gate: &Gateway| ask(gate, &gate.owner, 200, MOST_REQUESTS);
    // All send the same bytes but for the host, so that the same head is parsed everywhere.
    let direct = Target::get(upstream, upstream, &gate.owner, 200, stub.id(), MOST_REQUESTS);
    let forwarded = Target::get(plain, plain, &gate.owner, 200, stock.id(), MOST_REQUESTS);
    let mut rows = vec![
        row("direct", "upstream alone (its own CPU)", direct),
        row("stock", "stock plain Pingora", forwarded),
        row("gate", "gate, org user", of_owner(gate)),
        row("logged", "gate, org user, access log", of_owner(&proxies.logging)),
        row("audited", "gate, impersonation, both logs", ask(gate, grant, 200, MOST_AUDITED)),
        row("refused", "gate, 403 to staff", ask(gate, &gate.staff, 403, MOST_REQUESTS)),
    ];
    rows.extend(
        proxies.beside.as_ref().map(|other| row("beside", "another build, org user", of_owner(other))),
    );
    rows
}

/// Measures all rows.
pub(crate) async fn run(options: &Options, proxies: &Proxies) -> Rounds {
    let grant = proxies.gateway.mint().await;
    let mut rows: Vec<Row> =
        targets(proxies, &grant).into_iter().filter(|row| options.wants(row.key)).collect();
    let (mut fsyncs, mut commits) = (Vec::new(), Vec::new());
    for round in 0..options.rounds {
        let order: Vec<usize> =
            if round % 2 == 0 { (0..rows.len()).collect() } else { (0..rows.len()).rev().collect() };
        for at in order {
            let row = &mut rows[at];
            let audited = row.key == "audited";
            let before = proxies.gateway.commits().await;
            if audited {
                fsyncs.push(fsync(proxies.gateway.data.path()));
            }
            let cost = closed_loop(slice::from_ref(&row.target), options.connections, options.window).await;
            if audited {
                let after = proxies.gateway.commits().await;
                commits.push((after.0 - before.0, after.1 - before.1));
            }
            eprintln!("round {} {:<32} {:6.2} µs", round + 1, row.name, cost.cpu);
            row.costs.push(cost);
        }
    }
    let audit = if fsyncs.is_empty() { String::new() } else { of_audit(&fsyncs, &commits) };
    Rounds { rows, audit }
}

fn of_audit(fsyncs: &[(f64, f64)], commits: &[(f64, f64)]) -> String {
    format!(
        "both logs: one transaction took {:.2} ms (median of rounds; the disk's own fdatasync of 4 KiB beside it: median {:.2} ms, p99 {:.2} ms)",
        median(commits.iter().map(|(n, seconds)| seconds * 1e3 / n)),
        median(fsyncs.iter().map(|f| f.0 / 1e3)),
        median(fsyncs.iter().map(|f| f.1 / 1e3)),
    )
}

/// Connections of [`many_connections`].
const MANY: usize = 256;

/// Throughput where many requests share a commit, audited ÷ not audited.
pub(crate) async fn many_connections(options: &Options, proxies: &Proxies) -> String {
    let gate = &proxies.gateway;
    let grant = gate.mint().await;
    let target =
        |token: &str, most| Target::get(gate.address, gate.address, token, 200, gate.process.id(), most);
    let (plain, audited) = (target(&gate.owner, MOST_REQUESTS), target(&grant, MOST_AUDITED));
    let (mut plains, mut auditeds) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        plains.push(closed_loop(slice::from_ref(&plain), MANY, options.window).await);
        auditeds.push(closed_loop(slice::from_ref(&audited), MANY, options.window).await);
        // The writer's queue empties before the next measurement.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ratios = plains.iter().zip(&auditeds).map(|(p, a)| a.rate / p.rate);
    format!(
        "{MANY} connections: not audited {:.0}/s, audited {:.0}/s, ratio {:.2}",
        median(plains.iter().map(|c| c.rate)),
        median(auditeds.iter().map(|c| c.rate)),
        median(ratios),
    )
}
