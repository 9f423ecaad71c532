//! How it is told.

use super::machine::quantile;
use super::round::Measured;
use std::fmt::Write as _;
use std::time::Duration;

/// p99 of the answer that is aimed at, µs (architecture §8).
const ANSWER: f64 = 50_000.0;
/// p99 of the last byte that is aimed at, µs.
const LAST_BYTE: f64 = 250_000.0;

/// Line by line what was measured, under a heading.
pub(crate) fn table(heading: &str, rows: &[(&str, Vec<Measured>)]) -> String {
    let mut text = format!(
        "\n{heading}\n{:<18} {:>5} {:>17} {:>17} {:>17} {:>17} {:>17}\n",
        "p50 / p99, ms", "calls", "answer", "last admitted", "idle stream", "busy stream", "in trouble"
    );
    for (name, all) in rows {
        text.push_str(&row(name, &all.iter().collect::<Vec<_>>()));
    }
    let all: Vec<&Measured> = rows.iter().flat_map(|(_, all)| all).collect();
    text.push_str(&row("all", &all));
    let late: usize = all.iter().map(|m| m.late).sum();
    let repeats: usize = all.iter().map(|m| m.repeats).sum();
    writeln!(text, "sent after the answer and let in: {late}; calls answered 503 and repeated: {repeats}")
        .unwrap();
    text
}

/// Whether the targets are met where all gateways are well.
pub(crate) fn verdict(all: &[&Measured]) -> String {
    let answer = p99(all.iter().map(|m| m.answer));
    let last_byte = p99(all.iter().flat_map(|m| m.idle.iter().chain(&m.busy).copied()));
    let told = |name: &str, figure: f64, target: f64| {
        let met = if figure <= target { "met" } else { "NOT met" };
        format!("{name} p99 {:.1} ms, target {:.0} ms: {met}\n", figure / 1e3, target / 1e3)
    };
    told("answer", answer, ANSWER) + &told("last byte", last_byte, LAST_BYTE)
}

fn row(name: &str, all: &[&Measured]) -> String {
    format!(
        "{name:<18} {:>5} {:>17} {:>17} {:>17} {:>17} {:>17}\n",
        all.len(),
        figures(all.iter().map(|m| m.answer)),
        figures(all.iter().filter_map(|m| m.last_admitted)),
        figures(all.iter().flat_map(|m| m.idle.iter().copied())),
        figures(all.iter().flat_map(|m| m.busy.iter().copied())),
        figures(all.iter().flat_map(|m| m.troubled.iter().copied())),
    )
}

fn figures(took: impl Iterator<Item = Duration>) -> String {
    let sorted = sorted(took);
    if sorted.is_empty() {
        return "–".to_owned();
    }
    format!("{:.1} / {:.1}", quantile(&sorted, 0.50) / 1e3, quantile(&sorted, 0.99) / 1e3)
}

fn p99(took: impl Iterator<Item = Duration>) -> f64 {
    quantile(&sorted(took), 0.99)
}

fn sorted(took: impl Iterator<Item = Duration>) -> Vec<u32> {
    let mut sorted: Vec<u32> = took.map(|t| u32::try_from(t.as_micros()).unwrap_or(u32::MAX)).collect();
    sorted.sort_unstable();
    sorted
}
