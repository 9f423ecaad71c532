//! The servers and connections of the tests.

#[path = "../../tests/it/support/postgres.rs"]
pub(crate) mod postgres;
#[path = "../../tests/it/support/raw.rs"]
mod raw;
#[path = "../../tests/it/support/redis.rs"]
pub(crate) mod redis;

pub(crate) use raw::{Open, Target, websocket};
