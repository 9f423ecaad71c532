//! Revocation with many gateways, recorded and checked: three `drawbridge serve` with one PostgreSQL and one
//! Redis are hammered while a seeded plan takes access away and breaks things; what every client saw is a
//! history, and `check` says whether it keeps the promise of docs/guarantees.md.
//!
//! Every run prints its seed; `DRAWBRIDGE_SEED` plays it again. `DRAWBRIDGE_HISTORY_RUNS` (1) and
//! `DRAWBRIDGE_HISTORY_REQUESTS` (2,000 for each run) scale it.

mod check;
mod check_tests;
mod proxy;
mod record;
