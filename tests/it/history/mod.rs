//! Revocation with many gateways, recorded and checked: three `drawbridge serve` with one PostgreSQL and one
//! Redis are hammered while a seeded plan takes access away and breaks things; what every client saw is a
//! history, and `check` says whether it keeps the promise of docs/guarantees.md.
//!
//! Every run prints its seed; `DRAWBRIDGE_SEED` plays it again, as far as the scheduler lets it.
//! `DRAWBRIDGE_HISTORY_RUNS` (1), `DRAWBRIDGE_HISTORY_REQUESTS` (1,500 for each run) and
//! `DRAWBRIDGE_HISTORY_FAULTS` (2; 12 is all there are) scale it.

mod cap;
mod check;
mod check_tests;
mod faults;
mod fleet;
mod hot_path;
mod mutants;
mod namespace;
mod node;
mod outages;
mod proxy;
mod record;
mod report;
mod runs;
mod upstream;
mod workload;
mod world;
