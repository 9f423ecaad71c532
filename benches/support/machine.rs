//! What a figure depends on: the processor, who else uses it, and the disk.

use std::io::Write as _;
use std::path::Path;
use std::time::Instant;

/// Processor, kernel and load, as the first line of a report has them.
pub(crate) fn name() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|l| l.strip_prefix("model name")?.split_once(": ").map(|(_, m)| m))
        .unwrap_or("unknown processor");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    format!(
        "{model}, {} processors, Linux {}, load {}",
        info.lines().filter(|l| l.starts_with("processor")).count().max(cores),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or("?"),
    )
}

/// Of a sorted list.
pub(crate) fn quantile(sorted: &[u32], q: f64) -> f64 {
    let at = (sorted.len() as f64 * q) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).map_or(f64::NAN, |v| f64::from(*v))
}

/// Median and 99th percentile, in µs, of appending 4 KiB to a file there and `fdatasync`.
pub(crate) fn fsync(folder: &Path) -> (f64, f64) {
    let mut file = std::fs::File::create(folder.join("fsync.probe")).unwrap();
    let mut took: Vec<u32> = (0..200)
        .map(|_| {
            file.write_all(&[7; 4096]).unwrap();
            let begun = Instant::now();
            file.sync_data().unwrap();
            u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX)
        })
        .collect();
    took.sort_unstable();
    (quantile(&took, 0.50), quantile(&took, 0.99))
}
