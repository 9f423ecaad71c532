//! A disk that is full, or fails.

use super::*;

#[tokio::test]
async fn a_full_disk_refuses_everything_and_leaves_room_for_a_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let db = store_with(DbOptions { max_pages: Some(150), ..DbOptions::new(folder.path()) }).await;
    full_disk(db).await;
}

/// The same on a real file system. Needs the right to mount one.
#[tokio::test]
async fn a_full_file_system_refuses_everything_and_leaves_room_for_a_revocation() {
    let Some(mount) = Mount::new(24) else { return };
    let db = store(&mount.data()).await;
    mount.fill(400_000);
    full_disk(db).await;
}

#[tokio::test]
async fn outcomes_wait_for_room() {
    let Some(mount) = Mount::new(40) else { return };
    let db = store(&mount.data()).await;
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    let open = writer.intent(intent("imp_a", "org_acme")).await.unwrap();
    mount.fill(0);
    open.close(done());
    // More than the database has pages for.
    let mut entry = intent("imp_a", "org_acme");
    entry.path = Some("/x".repeat(1_000_000));
    writer.intent(entry).await.unwrap_err();
    std::fs::remove_file(mount.path().join("other")).unwrap();
    writer.intent(intent("imp_a", "org_acme")).await.unwrap().close(done());
    writer.drain().await;
    let told: Vec<_> =
        org(&db).await.iter().map(|i| (i["outcome"].clone(), i["impersonation_seq"].clone())).collect();
    assert_eq!(told, [("completed".into(), 2.into()), ("completed".into(), 1.into())]);
}

async fn full_disk(db: Db) {
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    let mut recorded = 0;
    let big = || {
        let mut entry = intent("imp_a", "org_acme");
        entry.path = Some("/x".repeat(10_000));
        entry
    };
    let error = loop {
        match writer.intent(big()).await {
            Ok(open) => open.close(done()),
            Err(error) => break error,
        }
        recorded += 1;
        assert!(recorded < 1_000, "never full");
    };
    let full = |error: &IntentError| matches!(error, IntentError::Audit(AuditError::Store(e)) if matches!(**e, StoreError::Full(_)));
    assert!(full(&error), "{error:?}");
    assert_eq!(count(&db, "SELECT COUNT(*) FROM org_audit WHERE stage = 'intent'").await, recorded);
    assert_eq!(count(&db, "SELECT COUNT(*) FROM platform_audit WHERE stage = 'intent'").await, recorded);
    assert_eq!(
        count(&db, "SELECT seq FROM impersonation WHERE id = 'imp_a'").await,
        recorded,
        "no number is lost"
    );
    assert!(full(&writer.intent(big()).await.unwrap_err()), "it is tried again, and refused again");
    assert!(!writer.stats().latched);

    // The owner's switch: as `access` does it.
    assert!(db.release_reserve());
    let mut tx = db.write().await.unwrap();
    for imp in ["imp_a", "imp_b", "imp_c"] {
        let end = "UPDATE impersonation SET ended_at = {now}, revoke_reason = 'support_access_disabled' WHERE id = $1";
        tx.execute(end, &[imp.into()]).await.unwrap();
        let entry = Entry {
            event: Event::ImpersonationEnded,
            stage: crate::audit::Stage::Act,
            ..intent(imp, "org_acme")
        };
        crate::audit::write_act(&mut tx, &entry).await.unwrap();
    }
    tx.commit().await.unwrap();
    assert_eq!(count(&db, "SELECT COUNT(*) FROM impersonation WHERE ended_at IS NULL").await, 0);
    // The rest of the reserve is not the audit's.
    assert!(full(&writer.intent(intent("imp_a", "org_acme")).await.unwrap_err()));
    writer.drain().await;
}

#[tokio::test]
async fn an_io_error_latches_until_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let db = store(folder.path()).await;
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    let _open = writer.intent(intent("imp_a", "org_acme")).await.unwrap();
    writer.shared.latched.store(true, Ordering::SeqCst);
    let refused = writer.intent(intent("imp_a", "org_acme")).await.unwrap_err();
    assert!(matches!(refused, IntentError::Audit(AuditError::Latched)), "{refused:?}");
    assert!(matches!(writer.refusal(refusal("usr_a", "X")).await, Err(AuditError::Latched)));
    assert_eq!(count(&db, "SELECT COUNT(*) FROM org_audit").await, 1);
    assert!(writer.stats().latched);
}

/// Where the process that meets the I/O error finds its folder.
const IO_ERROR_FOLDER: &str = "DRAWBRIDGE_TEST_IO_ERROR_FOLDER";

/// A real I/O error: this test runs itself again under a limit on the size of files, which SQLite meets as
/// `SQLITE_IOERR_WRITE`.
#[test]
fn a_real_io_error_latches_and_the_next_start_tells_how_it_ended() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Some(folder) = std::env::var_os(IO_ERROR_FOLDER) {
        runtime.block_on(until_the_io_error(folder.as_ref()));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = std::thread::current().name().unwrap().to_owned();
    let child = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 18432; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(IO_ERROR_FOLDER, folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&child.stdout);
    assert!(
        child.status.success() && told.contains("1 passed"),
        "{told}{}",
        String::from_utf8_lossy(&child.stderr)
    );
    runtime.block_on(async {
        let db = store(folder.path()).await;
        let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
        assert_logs_agree(&db).await;
        let open = "SELECT COUNT(*) FROM platform_audit i WHERE stage = 'intent' AND NOT EXISTS \
                    (SELECT 1 FROM platform_audit o WHERE o.request_id = i.request_id AND o.stage = 'outcome')";
        assert_eq!(count(&db, open).await, 0);
        writer.drain().await;
    });
}

async fn until_the_io_error(folder: &std::path::Path) {
    let db = store(folder).await;
    let writer = AuditWriter::start(db.clone(), ME).await.unwrap();
    let mut held = Vec::new();
    let error = loop {
        let mut entry = intent("imp_a", "org_acme");
        entry.path = Some("/x".repeat(10_000));
        match writer.intent(entry).await {
            Ok(open) => held.push(open),
            Err(error) => break error,
        }
        assert!(held.len() < 2_000, "no error");
    };
    let io = matches!(&error, IntentError::Audit(AuditError::Store(e)) if matches!(**e, StoreError::Io(_)));
    assert!(io, "{error:?}");
    let again = writer.intent(intent("imp_a", "org_acme")).await.unwrap_err();
    assert!(matches!(again, IntentError::Audit(AuditError::Latched)), "{again:?}");
    // A revocation may still try: the connection is in order, whatever the disk answers.
    drop(db.write().await.unwrap());
    std::mem::forget(held);
}
