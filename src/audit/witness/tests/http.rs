//! A witness in another process, as far as HTTP goes, and what a gateway makes of its answers.

use super::*;
use axum::http::StatusCode;
use axum::routing::post;
use std::cell::Cell;

async fn served(router: axum::Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// Both adapters, each with a state of its own.
async fn both(folder: &Path) -> [Witness; 2] {
    let log = key().verifier(&LogName::Platform);
    let file = Witness::file(&folder.join("own"), &log, clock()).unwrap();
    let elsewhere = notary(folder);
    let vkey = elsewhere.verifier().to_string();
    let url = served(server::router(elsewhere)).await;
    [file, Witness::url(&format!("{url}/"), &vkey).unwrap()]
}

async fn cosign(witness: &Witness, leaves: &[u32]) -> Result<String, WitnessError> {
    let note = checkpoint(&acme(), leaves);
    witness.cosign(&note, |old| std::future::ready(Ok(proof(leaves, old)))).await
}

#[tokio::test]
async fn a_gateway_has_its_checkpoints_cosigned() {
    let folder = tempfile::tempdir().unwrap();
    let ten: Leaves = (0..10).collect();
    let other: Leaves = (50..70).collect();
    for witness in both(folder.path()).await {
        for size in [0, 1, 4, 4, 10] {
            let line = cosign(&witness, &ten[..size]).await.unwrap();
            let opened = Checkpoint::read(&checkpoint(&acme(), &ten[..size])).unwrap();
            let note = opened.cosigned(&line).unwrap();
            verify_cosignature(&note, witness.verifier_key()).unwrap();
            // Whoever knows the log's key only reads it as before.
            assert_eq!(Checkpoint::open(&note, &key().verifier(&acme())).unwrap().size, size as u64);
        }
        // Rolled back; rolled back and grown again differently; the same size, changed.
        for (leaves, why) in [(&ten[..7], "go back"), (&other[..], "continue"), (&other[..10], "same size")] {
            match cosign(&witness, leaves).await {
                Err(WitnessError::Refused { known_size: 10, why: told }) => {
                    let url = matches!(witness, Witness::Url(_));
                    assert!(told.contains(why) || url, "{told}");
                }
                other => panic!("{why}: {other:?}"),
            }
        }
        let mut more = ten.clone();
        more.push(10);
        cosign(&witness, &more).await.unwrap();
    }
}

#[tokio::test]
async fn a_gateway_that_knows_nothing_asks_once_more() {
    let folder = tempfile::tempdir().unwrap();
    let elsewhere = notary(folder.path());
    let vkey = elsewhere.verifier().to_string();
    let url = served(server::router(elsewhere)).await;
    let leaves: Leaves = (0..10).collect();
    cosign(&Witness::url(&url, &vkey).unwrap(), &leaves[..3]).await.unwrap();
    let after_restart = Witness::url(&url, &vkey).unwrap();
    let asked = Cell::new(Vec::new());
    let prove = |old| {
        asked.set([asked.take(), vec![old]].concat());
        std::future::ready(Ok(proof(&leaves, old)))
    };
    after_restart.cosign(&checkpoint(&acme(), &leaves), prove).await.unwrap();
    assert_eq!(asked.take(), [3]);
}

#[tokio::test]
async fn cosigning_goes_on_a_task() {
    let folder = tempfile::tempdir().unwrap();
    let [file, url] = both(folder.path()).await;
    for witness in [file, url] {
        tokio::spawn(async move {
            let (note, leaves) = (checkpoint(&acme(), &[1, 2]), [1, 2]);
            let prove = |old| {
                let leaves = &leaves;
                async move { Ok(proof(leaves, old)) }
            };
            witness.cosign(&note, prove).await.map(drop)
        })
        .await
        .unwrap()
        .unwrap();
    }
}

#[tokio::test]
async fn the_answers_are_those_of_the_specification() {
    let folder = tempfile::tempdir().unwrap();
    let url = served(server::router(notary(folder.path()))).await;
    let client = reqwest::Client::new();
    let ask =
        async |body: String| client.post(format!("{url}/add-checkpoint")).body(body).send().await.unwrap();
    let ten: Leaves = (0..10).collect();
    let answer = ask(request(&acme(), &ten[..6], 0).to_text()).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().starts_with("— witness-"));
    let answer = ask(request(&acme(), &ten, 4).to_text()).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (409, &"text/x.tlog.size".parse().unwrap())
    );
    assert_eq!(answer.text().await.unwrap(), "6\n");
    assert_eq!(ask("old 1\n".to_owned()).await.status(), 400);
    assert_eq!(ask("x".repeat(100_000)).await.status(), 413);
    let hash =
        hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key().origin(&acme()).as_bytes()));
    let last = client.get(format!("{url}/{hash}/checkpoint")).send().await.unwrap();
    let last = Checkpoint::open(&last.text().await.unwrap(), &key().verifier(&acme())).unwrap();
    assert_eq!(last.size, 6);
    let none = client.get(format!("{url}/{}/checkpoint", "0".repeat(64))).send().await.unwrap();
    assert_eq!(none.status(), 404);
}

#[tokio::test]
async fn answers_that_arent_a_witness_are_no_signature() {
    let stranger = WitnessKey::new("witness-stranger", [9; 32]).unwrap();
    let ours = WitnessKey::new("witness-ours", [5; 32]).unwrap();
    let leaves = [1, 2, 3];
    let strange = stranger.cosign(&checkpoint(&acme(), &leaves), 1_000_000).unwrap();
    let of_another_note = ours.cosign(&checkpoint(&acme(), &[4]), 1_000_000).unwrap();
    let answers = [
        (200, String::new()),
        (200, strange),
        (200, of_another_note),
        (200, "x".repeat(100_000)),
        (409, "many\n".to_owned()),
        (302, String::new()),
        (500, "\u{1b}[31mno".to_owned()),
    ];
    for (status, text) in answers {
        let status = StatusCode::from_u16(status).unwrap();
        let shown = format!("{status} {:.20}", text);
        let url =
            served(axum::Router::new().route("/add-checkpoint", post(move || async move { (status, text) })))
                .await;
        let witness = Witness::url(&url, &ours.verifier().to_string()).unwrap();
        match cosign(&witness, &leaves).await {
            Err(WitnessError::Signature(_)) if status == 200 => {}
            Err(WitnessError::Answer { text, .. }) => assert!(!text.contains('\u{1b}')),
            other => panic!("{shown}: {other:?}"),
        }
    }
    // A witness that always names another size isn't asked for ever.
    let url =
        served(axum::Router::new().route("/add-checkpoint", post(async || (StatusCode::CONFLICT, "2\n"))))
            .await;
    let witness = Witness::url(&url, &ours.verifier().to_string()).unwrap();
    assert!(matches!(cosign(&witness, &leaves).await, Err(WitnessError::Refused { known_size: 2, .. })));
    // Nobody there.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let witness = Witness::url(&url, &ours.verifier().to_string()).unwrap();
    assert!(matches!(cosign(&witness, &leaves).await, Err(WitnessError::Unreachable(_))));
    assert!(Witness::url("not a url", &ours.verifier().to_string()).is_err());
    assert!(Witness::url(&url, key().verifier(&acme()).as_str()).is_err());
}
