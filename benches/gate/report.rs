//! How it is told.

use super::options::Options;
use super::rounds::{Rounds, Row};
use super::support::machine;
use super::support::measure::{Cost, median, with_spread};
use std::fmt::Write as _;

/// Where and how it was measured.
pub(crate) fn heading(pinned: bool, options: &Options) -> String {
    format!(
        "{}; proxies {}; {} connections, {} rounds of {:?}",
        machine::name(),
        if pinned { "pinned to one core" } else { "NOT pinned: only one core, or no taskset" },
        options.connections,
        options.rounds,
        options.window,
    )
}

/// One line for each row; ratios are to stock Pingora, round by round.
pub(crate) fn table(rounds: &Rounds) -> String {
    let stock = rounds.rows.iter().find(|r| r.key == "stock");
    let mut text = format!(
        "\n{:<32} {:>22} {:>20} {:>9} {:>8} {:>8}\n",
        "", "CPU µs/request", "÷ stock Pingora", "req/s", "p50 ms", "p99 ms"
    );
    for row in &rounds.rows {
        let of = |f: fn(&Cost) -> f64| median(row.costs.iter().map(f));
        writeln!(
            text,
            "{:<32} {:>22} {:>20} {:>9.0} {:>8.2} {:>8.2}",
            row.name,
            with_spread(row.costs.iter().map(|c| c.cpu), 1),
            stock.map_or_else(String::new, |stock| with_spread(ratios(row, stock), 2)),
            of(|c| c.rate),
            of(|c| c.p50) / 1e3,
            of(|c| c.p99) / 1e3,
        )
        .unwrap();
    }
    let requests: f64 = rounds.rows.iter().flat_map(|r| &r.costs).map(|c| c.requests).sum();
    writeln!(text, "{requests:.0} requests. {}", rounds.audit).unwrap();
    text
}

fn ratios<'a>(row: &'a Row, stock: &'a Row) -> impl Iterator<Item = f64> + Clone + 'a {
    row.costs.iter().zip(&stock.costs).map(|(own, stock)| own.cpu / stock.cpu)
}
