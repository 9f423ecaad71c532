//! The load: keep-alive connections, each asking again as soon as it has its answer.

use super::measure::{Cost, cpu};
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// What is asked, where, and what must be answered.
#[derive(Clone)]
pub(crate) struct Target {
    /// Whom.
    pub(crate) address: SocketAddr,
    /// The request's bytes.
    pub(crate) request: Rc<[u8]>,
    /// Any other status ends the measurement.
    pub(crate) status: u16,
    /// The process whose CPU counts.
    pub(crate) process: u32,
    /// It ends at this many requests.
    pub(crate) most: u64,
}

impl Target {
    /// `GET /api/v1/cameras`, with a token if there is one.
    pub(crate) fn get(
        address: SocketAddr,
        host: SocketAddr,
        token: &str,
        status: u16,
        process: u32,
        most: u64,
    ) -> Self {
        let authorization = match token {
            "" => String::new(),
            token => format!("authorization: Bearer {token}\r\n"),
        };
        let request = format!(
            "GET /api/v1/cameras HTTP/1.1\r\nhost: {host}\r\nuser-agent: bench/1\r\naccept: */*\r\n{authorization}\r\n"
        );
        Self { address, request: request.into_bytes().into(), status, process, most }
    }
}

/// Warming up: connections, pools, caches.
const WARM: Duration = Duration::from_millis(300);

/// Asks for the time of one measurement; what it cost. Connections share the targets, the first of which says whose
/// CPU counts and when it ends.
pub(crate) async fn closed_loop(targets: &[Target], connections: usize, window: Duration) -> Cost {
    let latencies: Rc<RefCell<Vec<u32>>> = Rc::default();
    let over = Rc::new(Cell::new(false));
    let local = LocalSet::new();
    let mut asking = Vec::new();
    for target in targets.iter().cycle().take(connections) {
        let (target, latencies, over) = (target.clone(), latencies.clone(), over.clone());
        asking.push(local.spawn_local(async move {
            let mut connection = Connection::open(&target).await;
            while !over.get() {
                let begun = Instant::now();
                connection.ask(&target).await;
                latencies.borrow_mut().push(micros(begun.elapsed()));
            }
        }));
    }
    local
        .run_until(async {
            tokio::time::sleep(WARM).await;
            latencies.borrow_mut().clear();
            let first = &targets[0];
            let (cpu_before, begun) = (cpu(first.process), Instant::now());
            while begun.elapsed() < window && (latencies.borrow().len() as u64) < first.most {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let cpu = cpu(first.process) - cpu_before;
            let (took, latencies) = (begun.elapsed(), latencies.take());
            over.set(true);
            for task in asking {
                task.await.expect("a connection failed");
            }
            Cost::of(latencies, took, cpu)
        })
        .await
}

/// A latency in whole microseconds.
pub(crate) fn micros(took: Duration) -> u32 {
    u32::try_from(took.as_micros()).unwrap_or(u32::MAX)
}

/// One keep-alive connection.
pub(crate) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(target: &Target) -> Self {
        let stream = TcpStream::connect(target.address).await.expect("a connection");
        stream.set_nodelay(true).unwrap();
        Self { stream, answer: Vec::with_capacity(8192) }
    }

    /// One request and its whole answer.
    pub(crate) async fn ask(&mut self, target: &Target) {
        self.stream.write_all(&target.request).await.expect("a request is written");
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await.expect("an answer is read");
            assert!(read > 0, "the connection was closed: {}", String::from_utf8_lossy(&self.answer));
            if let Some(end) = memchr::memmem::find(&self.answer, b"\r\n\r\n")
                && self.answer.len() >= end + 4 + content_length(&self.answer[..end])
            {
                break;
            }
        }
        let status = std::str::from_utf8(&self.answer[9..12]).ok().and_then(|s| s.parse().ok());
        assert_eq!(status, Some(target.status), "{}", String::from_utf8_lossy(&self.answer));
    }
}

fn content_length(head: &[u8]) -> usize {
    head.split(|b| *b == b'\n')
        .filter_map(|line| line.split_at_checked(15))
        .find(|(name, _)| name.eq_ignore_ascii_case(b"content-length:"))
        .and_then(|(_, value)| std::str::from_utf8(value).ok()?.trim().parse().ok())
        .expect("an answer says its length")
}
