//! What several benches use: the load and what it costs ([`load`], [`at_rate`], [`measure`]), the processes that it
//! is put on ([`process`], [`gateway`], [`stub`]), what these say of themselves ([`scrape`]), and what a figure depends
//! on ([`machine`]).
#![allow(dead_code, reason = "each bench uses a part")]

pub(crate) mod at_rate;
pub(crate) mod gateway;
pub(crate) mod load;
pub(crate) mod machine;
pub(crate) mod measure;
pub(crate) mod process;
pub(crate) mod scrape;
pub(crate) mod stub;
