//! What a witness keeps, and what it does when that is damaged.

use super::*;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;

fn opened(path: &Path) -> Result<Notary, String> {
    Notary::open(path, trust(), clock()).map_err(|e| e.to_string())
}

async fn cosign(notary: &Notary, leaves: std::ops::Range<u32>, old: u64) -> Result<String, Refusal> {
    notary.add(request(&acme(), &leaves.collect::<Leaves>(), old)).await
}

#[tokio::test]
async fn key_and_state_are_made_once_and_are_the_owners_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness");
    let name = notary(folder.path()).verifier().clone();
    for file in ["witness", "witness.key", "witness.lock"] {
        let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(notary(folder.path()).verifier(), &name);
    // A first start that ended between the two.
    fs::remove_file(folder.path().join("witness.key")).unwrap();
    assert_ne!(opened(&path).unwrap().verifier(), &name);
}

#[tokio::test]
async fn what_was_cosigned_is_known_after_a_restart_and_to_other_processes() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (notary(folder.path()), notary(folder.path()));
    cosign(&one, 0..5, 0).await.unwrap();
    assert!(matches!(cosign(&two, 0..7, 0).await, Err(Refusal::Conflict { known: 5 })));
    cosign(&two, 0..7, 5).await.unwrap();
    assert!(matches!(cosign(&one, 0..6, 5).await, Err(Refusal::Conflict { known: 7 })));
    drop((one, two));
    let origin = key().origin(&acme());
    let last = notary(folder.path()).last(&origin).await.unwrap().unwrap();
    assert_eq!(last.size, 7);
    assert!(verify_cosignature(&last.note, notary(folder.path()).verifier()).is_ok());
}

#[tokio::test]
async fn a_line_that_was_never_finished_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness");
    let notary = notary(folder.path());
    cosign(&notary, 0..5, 0).await.unwrap();
    let whole = fs::read(&path).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"\"drawbridge-test/org_a").unwrap();
    // By the running one, and by one that starts.
    cosign(&notary, 0..5, 5).await.unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole);
    file.write_all(b"\"draw\0\0").unwrap();
    cosign(&opened(&path).unwrap(), 0..8, 5).await.unwrap();
    assert!(fs::read_to_string(&path).unwrap().lines().count() == 3);
}

#[tokio::test]
async fn a_state_that_is_gone_damaged_or_older_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness");
    let notary = notary(folder.path());
    cosign(&notary, 0..5, 0).await.unwrap();
    let five = fs::read_to_string(&path).unwrap();
    cosign(&notary, 0..9, 5).await.unwrap();
    let nine = fs::read_to_string(&path).unwrap();

    // Put back to an earlier state under a running one.
    fs::write(&path, &five).unwrap();
    assert!(matches!(cosign(&notary, 0..6, 5).await, Err(Refusal::Storage(_))));
    fs::write(&path, &nine).unwrap();
    assert!(matches!(cosign(&notary, 0..10, 9).await, Err(Refusal::Storage(_))), "until it is started again");

    let lines: Vec<&str> = nine.lines().collect();
    for (what, text) in [
        ("isn't text", "drawbridge-witness/1\n\u{fffd}\n".replace('\u{fffd}', "\"\"")),
        ("a changed size", nine.replace("\\n9\\n", "\\n8\\n")),
        ("backwards", [lines[0], lines[2], lines[1], ""].join("\n")),
        ("no header", [lines[1], ""].join("\n")),
        ("empty", String::new()),
    ] {
        fs::write(&path, text).unwrap();
        assert!(opened(&path).is_err(), "{what}");
    }
    fs::remove_file(&path).unwrap();
    let gone = opened(&path).err().unwrap();
    assert!(gone.contains("put it back"), "{gone}");
    assert!(!path.exists(), "nothing is begun anew under the same key");
    fs::write(&path, &nine).unwrap();
    cosign(&opened(&path).unwrap(), 0..10, 9).await.unwrap();
    // State without its key.
    fs::remove_file(folder.path().join("witness.key")).unwrap();
    assert!(opened(&path).is_err());
}

#[tokio::test]
async fn the_file_is_written_anew_when_it_has_grown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness");
    let notary = notary(folder.path());
    cosign(&notary, 0..2, 0).await.unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let line = text.lines().last().unwrap();
    // As after thousands of checkpoints of the same size, which only another version would have kept.
    let mut grown = text.clone();
    for _ in 0..5_000 {
        grown.push_str(line);
        grown.push('\n');
    }
    fs::write(&path, grown).unwrap();
    cosign(&notary, 0..3, 2).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    cosign(&notary, 0..4, 3).await.unwrap();
    cosign(&opened(&path).unwrap(), 0..5, 4).await.unwrap();
}

#[tokio::test]
async fn what_cant_be_kept_is_not_cosigned() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("witness");
    let notary = notary(folder.path());
    cosign(&notary, 0..5, 0).await.unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(cosign(&notary, 0..6, 5).await, Err(Refusal::Storage(_))));
}
