//! Syslog to real sockets.

use super::{QUICK, SECRET, deliver, delivery, others, requests};
use crate::audit::delivery::{Deliveries, DeliveryError};
use crate::audit::fixtures::store;
use crate::config::{DeliverTo, DeliveredAs, DeliveredLogs, Delivery, SyslogAddress};
use crate::domain::ids::OrgId;
use crate::telemetry::Metrics;
use serde_json::Value;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, UdpSocket, UnixDatagram, UnixListener};

/// Header and entry of a line.
fn taken_apart(line: &str) -> (Vec<String>, Value) {
    let parts: Vec<&str> = line.splitn(8, ' ').collect();
    let entry = serde_json::from_str(parts[7]).unwrap();
    (parts[..7].iter().map(|part| (*part).to_owned()).collect(), entry)
}

/// Frames of a stream (RFC 6587, §3.4.1).
fn frames(mut bytes: &[u8]) -> Vec<String> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..space]).unwrap().parse().unwrap();
        frames.push(String::from_utf8(bytes[space + 1..=space + length].to_vec()).unwrap());
        bytes = &bytes[space + 1 + length..];
    }
    frames
}

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what).await.expect("it comes")
}

fn syslog(address: SyslogAddress) -> Delivery {
    let acme = OrgId::parse("org_acme").unwrap();
    delivery(DeliverTo::Syslog(address), DeliveredLogs::Org(acme), DeliveredAs::Entry)
}

#[tokio::test]
async fn over_tcp_what_a_receiver_did_not_read_to_the_end_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(folder.path()).await;
    requests(&db, 60).await;
    others(&db).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let gateway = deliver(&db, "a", &syslog(SyslogAddress::Tcp(address)), &Metrics::new());
    // A receiver that dies over the first message: what it hasn't read is lost with it.
    let (mut dying, _) = soon(listener.accept()).await.unwrap();
    dying.read_u8().await.unwrap();
    dying.set_zero_linger().unwrap();
    drop(dying);
    let mut lines = Vec::new();
    while lines.len() < 122 {
        let (mut stream, _) = soon(listener.accept()).await.unwrap();
        let mut bytes = Vec::new();
        soon(stream.read_to_end(&mut bytes)).await.unwrap();
        lines.extend(frames(&bytes));
    }
    gateway.stop().await;
    let all: Vec<_> = lines.iter().map(|line| taken_apart(line)).collect();
    let indexes: Vec<_> = all.iter().map(|(_, entry)| entry["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes, (0..122).collect::<Vec<_>>());
    let (head, entry) = &all[0];
    assert_eq!((head[0].as_str(), head[3].as_str(), head[6].as_str()), ("<110>1", "drawbridge", "-"));
    assert_eq!(head[1], entry["time"].as_str().unwrap());
    assert_eq!((head[5].as_str(), &entry["log"]), ("platform.impersonated_request", &"org_acme".into()));
    let outcome = all.iter().find(|(_, entry)| entry["stage"] == "outcome").unwrap();
    assert_eq!(outcome.0[5], "outcome");
    let refused = all.iter().find(|(_, entry)| entry["code"] == "OWNER_ONLY").unwrap();
    assert_eq!(refused.0[0], "<108>1");
}

#[tokio::test]
async fn over_udp_each_entry_is_a_datagram() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(folder.path()).await;
    requests(&db, 3).await;
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let gateway = deliver(&db, "a", &syslog(SyslogAddress::Udp(address)), &Metrics::new());
    let mut buffer = vec![0; 65_536];
    for index in 0..6 {
        let n = soon(socket.recv(&mut buffer)).await.unwrap();
        let (_, entry) = taken_apart(std::str::from_utf8(&buffer[..n]).unwrap());
        assert_eq!(entry["index"], index);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn sockets_of_this_machine_take_datagrams_or_streams() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(folder.path()).await;
    requests(&db, 2).await;
    let path = folder.path().join("log");
    let to = syslog(SyslogAddress::Unix(path.clone()));
    // Nobody listens yet: that is tried again like anything else.
    let metrics = Metrics::new();
    let gateway = deliver(&db, "a", &to, &metrics);
    soon(async {
        while metrics.delivery().failures("siem") == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut buffer = vec![0; 65_536];
    for index in 0..4 {
        let n = soon(socket.recv(&mut buffer)).await.unwrap();
        assert_eq!(taken_apart(std::str::from_utf8(&buffer[..n]).unwrap()).1["index"], index);
    }
    drop(socket);
    std::fs::remove_file(&path).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    requests(&db, 1).await;
    let (mut stream, _) = soon(listener.accept()).await.unwrap();
    let mut bytes = Vec::new();
    soon(stream.read_to_end(&mut bytes)).await.unwrap();
    let indexes: Vec<_> =
        frames(&bytes).iter().map(|line| taken_apart(line).1["index"].as_u64().unwrap()).collect();
    assert_eq!(indexes[0], 4);
    drop(stream);
    gateway.stop().await;
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(folder.path()).await;
    let start = |file: &str| {
        let url = "https://siem.example.com/".parse().unwrap();
        let to = DeliverTo::Webhook { url, secret_file: folder.path().join(file) };
        let all = [delivery(to, DeliveredLogs::All, DeliveredAs::Entry)];
        Deliveries::start_timed(&super::reader(&db), &all, &Metrics::new().delivery(), "a", QUICK).map(drop)
    };
    assert!(matches!(start("none"), Err(DeliveryError::File { .. })));
    std::fs::write(folder.path().join("bad"), "secret").unwrap();
    let error = start("bad").unwrap_err();
    assert!(matches!(error, DeliveryError::Webhook { .. }) && !error.to_string().contains("secret\""));
    std::fs::write(folder.path().join("good"), SECRET).unwrap();
    start("good").unwrap();
}
