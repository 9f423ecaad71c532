//! `SIGTERM` under load: clients that do what HTTP asks of them see no failed request.

use crate::support::{GatewayBuilder, Recorder, eventually};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// How one exchange on a connection ended.
pub(crate) enum Exchange {
    Answered {
        close: bool,
    },
    /// The connection was closed before a byte of an answer.
    Nothing,
    Failed(String),
}

pub(crate) async fn exchange(connection: &mut BufReader<TcpStream>, request: &str) -> Exchange {
    if connection.get_mut().write_all(request.as_bytes()).await.is_err() {
        return Exchange::Nothing;
    }
    let (mut length, mut close, mut line, mut first) = (0, false, String::new(), true);
    loop {
        line.clear();
        match connection.read_line(&mut line).await {
            Ok(1..) => {}
            Ok(0) | Err(_) if first => return Exchange::Nothing,
            broken => return Exchange::Failed(format!("the head broke off: {broken:?}")),
        }
        let head = line.trim_end().to_ascii_lowercase();
        if first && !head.starts_with("http/1.1 200") {
            return Exchange::Failed(head);
        }
        first = false;
        close |= head == "connection: close";
        if let Some(rest) = head.strip_prefix("content-length: ") {
            length = rest.parse().unwrap();
        } else if head.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    match connection.read_exact(&mut body).await {
        Ok(_) => Exchange::Answered { close },
        Err(error) => Exchange::Failed(format!("the body broke off: {error}")),
    }
}

/// Sends until connections are refused, as a client does that closes when it is told to, and that tries again
/// what a kept-alive connection didn't answer. Gives every request that failed.
async fn well_behaved(
    authority: String,
    token: String,
    answered: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
) -> Vec<String> {
    let request = format!("GET /slow HTTP/1.1\r\nHost: {authority}\r\nAuthorization: Bearer {token}\r\n\r\n");
    let mut failed = Vec::new();
    loop {
        let Ok(stream) = TcpStream::connect(&authority).await else {
            if !stopping.load(Ordering::SeqCst) {
                failed.push("refused before the stop".to_owned());
            }
            return failed;
        };
        let mut connection = BufReader::new(stream);
        for n in 0_u32.. {
            match exchange(&mut connection, &request).await {
                Exchange::Answered { close } => {
                    answered.fetch_add(1, Ordering::SeqCst);
                    if close {
                        break;
                    }
                }
                // Reset in the queue of a listener that closes is as good as refused.
                Exchange::Nothing if n > 0 || stopping.load(Ordering::SeqCst) => break,
                Exchange::Nothing => {
                    failed.push("a new connection was closed".to_owned());
                    break;
                }
                Exchange::Failed(why) => {
                    failed.push(why);
                    break;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_fails_no_request() {
    let upstream = Recorder::start().await;
    let mut gateway = GatewayBuilder::new().arg("--upstream").arg(upstream.url()).start();
    let (grant, _) = gateway.mint("staff", "acme").await;
    let (answered, stopping) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut clients = JoinSet::new();
    for n in 0..16 {
        let token = if n % 2 == 0 { grant.as_str() } else { gateway.token("owner") };
        clients.spawn(well_behaved(
            gateway.authority().to_owned(),
            token.to_owned(),
            answered.clone(),
            stopping.clone(),
        ));
    }
    eventually("load", async || (answered.load(Ordering::SeqCst) > 300).then_some(())).await;
    stopping.store(true, Ordering::SeqCst);
    gateway.signal("-TERM");
    let failed: Vec<String> = clients.join_all().await.into_iter().flatten().collect();
    assert!(failed.is_empty(), "{failed:?}");
    // What was tried again had never been sent: a closed connection took no request with it.
    assert_eq!(upstream.seen().len(), answered.load(Ordering::SeqCst), "requests under way were cut");
    assert_eq!(gateway.wait(), Some(0), "{}", gateway.log());
    println!("{} requests answered, none failed", answered.load(Ordering::SeqCst));
    // What was under way has its outcome in the records, and a line in the access log.
    let lines = gateway.access_lines();
    let of_clients = lines.iter().filter(|line| line["path"] == "/slow" && line["status"] == 200);
    assert_eq!(of_clients.count(), answered.load(Ordering::SeqCst));
}
