//! What a gateway's `/metrics` say at one moment.

use std::net::SocketAddr;

/// See the module.
pub(crate) struct Scrape(String);

impl Scrape {
    /// Asks the admin listener there.
    pub(crate) async fn of(admin: SocketAddr) -> Self {
        let answer = reqwest::get(format!("http://{admin}/metrics")).await.unwrap();
        Self(answer.text().await.unwrap())
    }

    /// The value of the line that begins so.
    pub(crate) fn figure(&self, name: &str) -> f64 {
        let found = self.0.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no {name} in\n{}", self.0))
    }

    /// The buckets of a histogram without labels: upper bound and how many were at or below it.
    pub(crate) fn buckets(&self, name: &str) -> Vec<(f64, f64)> {
        let begin = format!("{name}_bucket{{le=\"");
        let read = |line: &str| {
            let (bound, count) = line.strip_prefix(&begin)?.split_once("\"}")?;
            Some((bound.replace("+Inf", "inf").parse().ok()?, count.trim().parse().ok()?))
        };
        self.0.lines().filter_map(read).collect()
    }
}

/// A quantile of what a histogram gained between two scrapes, taken as evenly spread within its bucket.
pub(crate) fn histogram_quantile(before: &Scrape, after: &Scrape, name: &str, q: f64) -> f64 {
    let (before, after) = (before.buckets(name), after.buckets(name));
    let gained: Vec<(f64, f64)> = after.iter().zip(&before).map(|(a, b)| (a.0, a.1 - b.1)).collect();
    let wanted = gained.last().map_or(0.0, |all| all.1) * q;
    let mut below = (0.0, 0.0);
    for (bound, count) in gained {
        if count >= wanted && count > below.1 {
            return if bound.is_finite() {
                below.0 + (bound - below.0) * (wanted - below.1) / (count - below.1)
            } else {
                below.0
            };
        }
        below = (bound, count);
    }
    f64::NAN
}
