//! Added latency at a fixed rate.

use super::options::Options;
use super::processes::Proxies;
use super::support::at_rate::{A_MILLISECOND, at_rate};
use super::support::load::Target;
use super::support::machine::fsync;
use super::support::measure::median;
use std::slice;

/// What a request under an impersonation waits longer than one that is not audited.
pub(crate) async fn added_latency(options: &Options, proxies: &Proxies) -> String {
    let gate = &proxies.gateway;
    let grant = gate.mint().await;
    let target = |token: &str| Target::get(gate.address, gate.address, token, 200, gate.process.id(), 0);
    let (plain, audited) = (target(&gate.owner), target(&grant));
    let (mut added, mut probes, mut commits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..options.rounds {
        probes.push(fsync(gate.data.path()));
        let without = at_rate(slice::from_ref(&plain), options.window).await;
        let before = gate.commits().await;
        let with = at_rate(slice::from_ref(&audited), options.window).await;
        let after = gate.commits().await;
        commits.push((after.1 - before.1) * 1e6 / (after.0 - before.0));
        added.push((with.0 - without.0, with.1 - without.1));
    }
    let ms = |us: f64| us / 1e3;
    format!(
        "{} requests/s: an impersonation adds p50 {:.2} ms, p99 {:.2} ms; one transaction {:.2} ms, fdatasync p50 {:.2} ms, p99 {:.2} ms",
        A_MILLISECOND * 1000,
        ms(median(added.iter().map(|a| a.0))),
        ms(median(added.iter().map(|a| a.1))),
        ms(median(commits)),
        ms(median(probes.iter().map(|p| p.0))),
        ms(median(probes.iter().map(|p| p.1))),
    )
}
