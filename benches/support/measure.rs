//! What it cost: CPU of a process, and latencies.

use super::machine::quantile;
use std::process::Command;
use std::time::Duration;

/// Where proxies run, alone.
pub(crate) const PROXY_CORE: usize = 0;
/// Where load and upstream run.
pub(crate) const OTHER_CORE: usize = 1;

/// Moves this process (and the threads that it will have) to a core; whether that can be done here.
pub(crate) fn pin_self(core: usize) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let me = std::process::id().to_string();
    let pinned = Command::new("taskset")
        .args(["-pc", &core.to_string(), &me])
        .output()
        .is_ok_and(|o| o.status.success());
    cores > 1 && pinned
}

/// CPU time of a process so far, user and system (proc(5), fields 14 and 15 of `stat`).
pub(crate) fn cpu(process: u32) -> Duration {
    /// `USER_HZ` is 100 on every Linux that Rust runs on.
    const TICK: Duration = Duration::from_millis(10);
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process lives");
    // The name in parentheses may have spaces; two fields before the state are gone with it.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: u32 = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
    TICK * ticks
}

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU a request, µs.
    pub(crate) cpu: f64,
    /// Requests a second.
    pub(crate) rate: f64,
    /// Latency, µs.
    pub(crate) p50: f64,
    /// Latency, µs.
    pub(crate) p99: f64,
    /// How many requests.
    pub(crate) requests: f64,
}

impl Cost {
    /// From the latencies (µs) of all requests.
    pub(crate) fn of(mut latencies: Vec<u32>, took: Duration, cpu: Duration) -> Self {
        latencies.sort_unstable();
        let requests = latencies.len() as f64;
        Self {
            cpu: cpu.as_secs_f64() * 1e6 / requests,
            rate: requests / took.as_secs_f64(),
            p50: quantile(&latencies, 0.50),
            p99: quantile(&latencies, 0.99),
            requests,
        }
    }
}

/// The middle one of some figures.
pub(crate) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

/// Smallest and largest.
pub(crate) fn spread(figures: impl IntoIterator<Item = f64>) -> (f64, f64) {
    figures.into_iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), f| (a.min(f), b.max(f)))
}

/// Median, smallest and largest, for a table.
pub(crate) fn with_spread(figures: impl Iterator<Item = f64> + Clone, decimals: usize) -> String {
    let (least, most) = spread(figures.clone());
    format!("{:.decimals$} ({least:.decimals$}–{most:.decimals$})", median(figures))
}
