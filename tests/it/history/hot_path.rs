//! What a request of a known session costs Redis and PostgreSQL: nothing. Redis tells by MONITOR, PostgreSQL by
//! its statement log. `DRAWBRIDGE_HISTORY_HOT` (1,000) requests; 10,000 for the full count.

use super::fleet::{Fleet, GATEWAYS, Options};
use super::record::{Kind, Outcome};
use super::world::{Held, World};
use crate::support::{Chance, number};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Longer than any round that a gateway makes by itself (the signing keys: 5 s; what others left open: 10 s).
const BY_ITSELF: Duration = Duration::from_secs(11);

/// Statements of this database in the server's log from byte `from` on: process and text. Those of processes
/// that renew a lease are left out.
fn statements(world: &World, from: usize) -> Vec<String> {
    let log = world.fleet.server.lock().log();
    let mark = format!("[{} ", world.fleet.database);
    let of = |line: &str| -> Option<(String, String)> {
        let (process, said) = line.strip_prefix(&mark)?.split_once("] ")?;
        let text = said.strip_prefix("LOG:  ")?;
        let text = text
            .strip_prefix("statement: ")
            .or_else(|| Some(text.strip_prefix("execute ")?.split_once(": ")?.1));
        Some((process.to_owned(), text?.to_owned()))
    };
    let leases: BTreeSet<String> = log
        .lines()
        .filter_map(of)
        .filter(|(_, t)| t.contains("INTO gateway_lease"))
        .map(|(p, _)| p)
        .collect();
    let new = log.get(from..).unwrap_or_default();
    new.lines().filter_map(of).filter(|(p, _)| !leases.contains(p)).map(|(_, text)| text).collect()
}

fn counted(texts: &[String]) -> BTreeMap<&str, usize> {
    let mut counted = BTreeMap::new();
    for text in texts {
        *counted.entry(text.as_str()).or_default() += 1;
    }
    counted
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_session_costs_redis_and_sql_nothing() {
    let world = World::make(Fleet::start(Options { log_statements: true, ..Options::default() }).await).await;
    let requests = number("DRAWBRIDGE_HISTORY_HOT", 1_000);
    let find = |kind| world.live(&mut Chance::of(1), |h| h.kind == kind).expect("a session");
    let known = [find(Kind::Staff), find(Kind::Person)];
    for held in &known {
        for gateway in 0..GATEWAYS {
            assert_eq!(world.ask(held, gateway).await, Outcome::Admitted);
        }
    }
    let port = world.fleet.redis.lock().await.port;
    let mut monitor = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("Redis");
    monitor.write_all(b"MONITOR\r\n").await.expect("MONITOR");
    let mut greeting = [0_u8; 5];
    monitor.read_exact(&mut greeting).await.expect("+OK");

    // What happens by itself, and then what happens besides.
    let start = world.fleet.server.lock().log().len();
    tokio::time::sleep(BY_ITSELF).await;
    let by_itself = statements(&world, start);
    let start = world.fleet.server.lock().log().len();
    let begun = Instant::now();
    let asked = ask_all(&world, &known, requests).await;
    let took = begun.elapsed();
    let meanwhile = statements(&world, start);

    let mut commands = Vec::new();
    let quiet = Duration::from_millis(200);
    while let Ok(Ok(1..)) = tokio::time::timeout(quiet, monitor.read_buf(&mut commands)).await {}
    let commands = String::from_utf8_lossy(&commands).into_owned();
    // Pooled connections are kept alive by time.
    let (kept_alive, commands): (Vec<&str>, Vec<&str>) =
        commands.lines().partition(|l| l.ends_with("\"PING\""));
    let redis = commands.len();
    let usual = counted(&by_itself);
    let sql = counted(&meanwhile).into_iter().filter(|(text, _)| !usual.contains_key(text));
    let sql: BTreeMap<&str, usize> = sql.collect();
    eprintln!(
        "{asked} requests of known sessions in {took:?}: {redis} commands to Redis besides {} PINGs; {} statements of a request; \
         besides the leases' {} statements of what runs by itself ({} in the {BY_ITSELF:?} before)",
        kept_alive.len(),
        sql.values().sum::<usize>(),
        meanwhile.len(),
        by_itself.len(),
    );
    assert_eq!(redis, 0, "{commands:#?}");
    assert!(kept_alive.len() < requests / 10, "{kept_alive:#?}");
    assert!(sql.is_empty(), "{sql:#?}");
    // Nor more of the usual ones: those come by time, not by request.
    let seconds = took.as_secs_f64().ceil();
    #[expect(clippy::cast_precision_loss, reason = "a few hundred statements")]
    let most = (by_itself.len() as f64 / BY_ITSELF.as_secs_f64() + 20.0) * (seconds + 1.0) * 1.5;
    #[expect(clippy::cast_precision_loss, reason = "a few hundred statements")]
    let found = meanwhile.len() as f64;
    assert!(found <= most, "{:#?}", counted(&meanwhile));
    assert!(!by_itself.is_empty(), "the log is read");
}

async fn ask_all(world: &Arc<World>, known: &[Held], requests: usize) -> usize {
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..6 {
        let (world, known) = (world.clone(), known.to_vec());
        clients.spawn(async move {
            for n in 0..requests.div_ceil(6) {
                let outcome = world.ask(&known[(n + client) % known.len()], client % GATEWAYS).await;
                assert_eq!(outcome, Outcome::Admitted);
            }
            requests.div_ceil(6)
        });
    }
    clients.join_all().await.into_iter().sum()
}
