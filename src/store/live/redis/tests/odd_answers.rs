//! Servers that answer what they shouldn't.

use super::{bounded, later, options};
use crate::store::Live as _;
use crate::store::live::contract;
use crate::store::live::redis::{Redis, RedisOptions};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers a ping as it should and everything else with `answer`; `None`: not at all, then it hangs up.
async fn odd_server(answer: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    let text = String::from_utf8_lossy(&buffer[..read]).to_ascii_uppercase();
                    let reply = if text.contains("PING") {
                        "+PONG\r\n"
                    } else if text.contains("SUBSCRIBE") {
                        "*3\r\n$9\r\nsubscribe\r\n$16\r\ndrawbridge:hints\r\n:1\r\n"
                    } else {
                        let Some(answer) = answer else { return };
                        answer
                    };
                    if stream.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn no_answer_makes_it_hang_or_fall() {
    for (answer, kind) in [
        (Some("-LOADING Redis is loading the dataset in memory\r\n"), "loading"),
        (Some("-READONLY You can't write against a read only replica.\r\n"), "read_only"),
        (
            Some("-ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed\r\n"),
            "out_of_memory",
        ),
        (Some("-MISCONF Redis is configured to save RDB snapshots\r\n"), "misconfigured"),
        (Some("-MOVED 1 127.0.0.1:1\r\n"), "cluster"),
        (Some("-ASK 1 127.0.0.1:1\r\n"), "cluster"),
        (Some("-CLUSTERDOWN The cluster is down\r\n"), "cluster"),
        (Some("-NOPERM this user has no permissions\r\n"), "permission"),
        (Some("-NOAUTH Authentication required.\r\n"), "authentication"),
        (Some("-ERR unknown command 'EVAL', with args beginning with: 'hunter2'\r\n"), "other"),
        (Some("*1\r\n*1\r\n:1\r\n"), "connection"),
        (Some("HTTP/1.1 400 Bad Request\r\n\r\n"), "connection"),
        (None, "connection"),
    ] {
        let redis = Redis::start(options(&odd_server(answer).await)).unwrap();
        let facts = contract::session("ses_a", "pu_a", later(60_000), 1);
        super::servers::until(kind, async || {
            let put = bounded(redis.put(facts.clone())).await.expect_err("not put");
            assert!(!format!("{put} {put:?}").contains("hunter2"), "{put}");
            redis.health().last_error == Some(kind)
        })
        .await;
        assert!(bounded(redis.forget(&facts.session.key, 2)).await.is_err(), "{kind}");
        assert!(bounded(redis.hint(1)).await.is_err(), "{kind}");
        let found = bounded(redis.get(&facts.session.key, later(0))).await;
        assert!(!matches!(found, Ok(Some(_))), "{kind}");
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let redis = Redis::start(RedisOptions { timeout: Duration::from_millis(50), ..options(&url) }).unwrap();
    let facts = contract::session("ses_a", "pu_a", later(60_000), 1);
    super::servers::until("it is given up", async || redis.health().last_error == Some("timeout")).await;
    assert!(bounded(redis.put(facts)).await.is_err());
}
