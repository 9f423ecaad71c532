//! A real gateway on loopback, started and stopped by the test that uses it.

mod browser;
mod chain;
mod chance;
pub(crate) mod clients;
mod command;
mod door;
mod gateway;
mod house;
mod http;
pub(crate) mod idp;
mod mount;
pub(crate) mod postgres;
mod raw;
mod recorder;
pub(crate) mod redis;
mod served;
mod wire;

/// What OCSF publishes about events, as the unit tests read it too.
#[path = "../../../src/audit/ocsf/tests/published.rs"]
mod published;

pub(crate) use crate::accounts::code as totp;
pub(crate) use browser::Browser;
pub(crate) use chain::token_by_chain;
pub(crate) use chance::{Chance, number};
pub(crate) use command::audit;
pub(crate) use door::Door;
pub(crate) use gateway::{Gateway, GatewayBuilder};
pub(crate) use house::{Engine, House, Staff, code, migrated, request};
pub(crate) use http::{Answer, raw_exchange};
pub(crate) use mount::Mount;
pub(crate) use published::Published;
pub(crate) use raw::{Open, Target, websocket};
pub(crate) use recorder::Recorder;
pub(crate) use served::{Held, Served, is_ready};
pub(crate) use wire::Wire;

use std::time::{Duration, Instant};

/// Makes a test for each engine of each `async fn name(engine: Engine)`.
macro_rules! on_both_engines {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(super::$name($crate::support::Engine::Sqlite)).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                Box::pin(super::$name($crate::support::Engine::Postgres)).await;
            })*
        }
    };
}
pub(crate) use on_both_engines;

/// How long a test waits for something that should come soon.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Asks until the answer is `Some`, and fails with `what` after [`SOON`].
pub(crate) async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(found) = ask().await {
            return found;
        }
        assert!(begun.elapsed() < SOON, "waited {SOON:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
