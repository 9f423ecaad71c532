//! What is wrong with a store, and what to do about it: all of it for `drawbridge doctor`, the first of it at start.

use super::migrate::{EXPIRE, LOGS, MIGRATIONS, ORDINARY, OWNERS, PASSING};
use super::{Db, DbOptions, Dialect, OpenError, PostgresOptions, StoreError, Target, Tx, postgres, reserve};
use crate::domain::with_causes;
use crate::domain::{Clock as _, Millis};
use std::path::Path;

/// How far the database's clock may be from this machine's.
const SKEW: Millis = 1_000;
/// The oldest server, as `server_version_num` tells it.
const OLDEST: i64 = 130_000;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What, in a word or two.
    pub check: &'static str,
    /// How it is.
    pub told: String,
    /// What to do, if it is wrong.
    pub to_do: Option<String>,
}

impl Finding {
    fn new(check: &'static str, told: impl Into<String>) -> Self {
        Self { check, told: told.into(), to_do: None }
    }

    /// Whether it is as it must be.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.to_do.is_none()
    }

    fn or_do(mut self, ok: bool, what: impl Into<String>) -> Self {
        if !ok {
            self.to_do = Some(what.into());
        }
        self
    }

    fn failed(check: &'static str, error: &StoreError, what: &str) -> Self {
        Self::new(check, with_causes(error)).or_do(false, what)
    }
}

/// Looks at everything a gateway needs of `target`. Changes nothing.
pub async fn examine(target: &Target) -> Vec<Finding> {
    match target {
        Target::Folder(folder) => examine_folder(folder),
        Target::Postgres(options) => match connect(options).await {
            Ok(db) => {
                let connected = Finding::new("connection", options.shown());
                let mut all = vec![connected];
                all.extend(examine_postgres(&db).await.into_iter().map(|(finding, _)| finding));
                all.push(statements_logged(&db).await);
                all
            }
            Err(error) => {
                let what = "look at host, port, user, password and TLS in `database.url`, at pg_hba.conf, and \
                            whether the server runs";
                vec![Finding::failed("connection", &error, what)]
            }
        },
    }
}

/// Whether the server's own log tells of refused statements: nothing in the database does. A gateway starts without.
async fn statements_logged(db: &Db) -> Finding {
    let check = "refused statements";
    let found = async {
        let mut tx = db.read().await?;
        let statement = setting(&mut tx, "log_min_error_statement").await?;
        let messages = setting(&mut tx, "log_min_messages").await?;
        let to = setting(&mut tx, "log_destination").await?;
        Ok::<_, StoreError>((statement, messages, to))
    };
    let (statement, messages, to) = match found.await {
        Ok(found) => found,
        Err(error) => return Finding::failed(check, &error, "see the message"),
    };
    let quiet = |level: &str| matches!(level, "log" | "fatal" | "panic");
    let told = if to.trim().is_empty() {
        "the server logs nowhere"
    } else if quiet(&messages) {
        "the server logs no errors"
    } else if quiet(&statement) {
        "the server logs errors without their statements"
    } else {
        "the server's log tells of them"
    };
    let ok = told.ends_with("of them");
    Finding::new(check, told).or_do(
        ok,
        "set log_destination, log_min_messages = warning and log_min_error_statement = error in postgresql.conf, so \
         that an attempt to change the audit log leaves a trace",
    )
}

async fn connect(options: &PostgresOptions) -> Result<Db, StoreError> {
    let options = PostgresOptions { connections: 1, ..options.clone() };
    let connections = postgres::Connections::open(&options).await.map_err(|e| e.at(&options))?;
    Ok(Db::on_postgres(connections, &DbOptions::postgres(options)))
}

/// A gateway doesn't start on a server that can't keep its promises.
pub(super) async fn accept(db: &Db, options: &PostgresOptions) -> Result<(), StoreError> {
    for (finding, error) in examine_postgres(db).await {
        let Finding { check, told, to_do: Some(to_do) } = finding else { continue };
        return Err(error.unwrap_or_else(|| {
            OpenError::Postgres(format!("PostgreSQL at {}: {check}: {told}; {to_do}", options.shown())).into()
        }));
    }
    Ok(())
}

/// A finding, and the error that it is at start if not its text.
type Examined = (Finding, Option<StoreError>);

async fn examine_postgres(db: &Db) -> Vec<Examined> {
    let mut all = Vec::new();
    let mut tx = match db.write().await {
        Ok(tx) => tx,
        Err(error) => return vec![(Finding::failed("connection", &error, "see the message"), Some(error))],
    };
    match settings(&mut tx).await {
        Ok(found) => all.extend(found.into_iter().map(|finding| (finding, None))),
        Err(error) => all.push((Finding::failed("settings", &error, "see the message"), Some(error))),
    }
    drop(tx);
    match clock(db).await {
        Ok(finding) => all.push((finding, None)),
        Err(error) => all.push((Finding::failed("clock", &error, "see the message"), Some(error))),
    }
    let migrated = migrations(db).await;
    let ready = migrated.0.is_ok();
    all.push(migrated);
    if ready {
        match privileges(db).await {
            Ok(found) => all.extend(found.into_iter().map(|finding| (finding, None))),
            Err(error) => all.push((Finding::failed("privileges", &error, "see the message"), Some(error))),
        }
    }
    all
}

async fn setting(tx: &mut Tx, name: &str) -> Result<String, StoreError> {
    let row = tx.row("SELECT current_setting($1)", &[name.into()]).await?;
    row.map_or_else(|| Ok(String::new()), |row| row.text(0).map(str::to_owned))
}

async fn settings(tx: &mut Tx) -> Result<Vec<Finding>, StoreError> {
    let number = setting(tx, "server_version_num").await?;
    let version = setting(tx, "server_version").await?;
    let mut all = vec![
        Finding::new("version", version)
            .or_do(number.parse().is_ok_and(|n: i64| n >= OLDEST), "use PostgreSQL 13 or later"),
    ];
    for (check, why) in [
        ("fsync", "a crash of the machine would lose what was told to be durable"),
        ("full_page_writes", "a crash of the machine could leave torn pages"),
    ] {
        let value = setting(tx, check).await?;
        let ok = value == "on";
        all.push(Finding::new(check, value).or_do(ok, format!("set {check} = on in postgresql.conf: {why}")));
    }
    // As it is in a transaction that writes: that asks for `on`.
    let durability = setting(tx, "synchronous_commit").await?;
    let ok = matches!(durability.as_str(), "on" | "remote_apply");
    all.push(Finding::new("synchronous_commit", durability).or_do(
        ok,
        "let transactions set synchronous_commit = on (a pooler between may drop it: connect without one)",
    ));
    let encoding = setting(tx, "server_encoding").await?;
    let ok = encoding == "UTF8";
    all.push(Finding::new("encoding", encoding).or_do(ok, "CREATE DATABASE … ENCODING 'UTF8'"));
    let row = tx
        .row(
            "SELECT CASE WHEN pg_is_in_recovery() THEN 'standby' \
             WHEN current_setting('transaction_read_only') = 'on' THEN 'read-only' ELSE 'primary' END",
            &[],
        )
        .await?;
    let role = row.map_or_else(|| Ok(String::new()), |row| row.text(0).map(str::to_owned))?;
    let ok = role == "primary";
    all.push(Finding::new("role", role).or_do(
        ok,
        "point `database.url` at the primary; if it is one, set default_transaction_read_only = off",
    ));
    Ok(all)
}

async fn clock(db: &Db) -> Result<Finding, StoreError> {
    let mut tx = db.read().await?;
    // The first answer prepares the statement: the second is as quick as it gets.
    tx.now().await?;
    let before = db.clock().now();
    let theirs = tx.now().await?;
    let after = db.clock().now();
    let skew = if theirs < before { theirs - before } else { (theirs - after).max(0) };
    let told = if skew == 0 { "in step".to_owned() } else { format!("{skew} ms from this machine's") };
    Ok(Finding::new("clock", told).or_do(
        skew.abs() <= SKEW,
        "set both clocks by NTP: expiry is decided by the database's, tokens tell it by this machine's",
    ))
}

async fn migrations(db: &Db) -> Examined {
    let check = "migrations";
    let what = "run `drawbridge migrate --config FILE` where `database.owner_url` is set";
    let migrator = crate::store::migrations::migrator(Dialect::Postgres);
    let super::Engine::Postgres(connections) = &db.inner.engine else {
        return (Finding::new(check, "not looked at"), None);
    };
    match connections.verify(&migrator).await {
        Ok(()) => (Finding::new(check, "those of this version"), None),
        Err(source) => {
            let error = StoreError::from(OpenError::Unmigrated { source });
            (Finding::failed(check, &error, what), Some(error))
        }
    }
}

/// What the role can do and must, and what it can and must not.
async fn privileges(db: &Db) -> Result<Vec<Finding>, StoreError> {
    let mut tx = db.read().await?;
    let mut missing = Vec::new();
    let mut beyond = Vec::new();
    let mut wanted: Vec<(&str, &[&str])> = Vec::new();
    wanted.extend(ORDINARY.map(|table| (table, ["SELECT", "INSERT", "UPDATE"].as_slice())));
    wanted.extend(LOGS.map(|table| (table, ["SELECT", "INSERT"].as_slice())));
    wanted.extend(PASSING.map(|table| (table, ["SELECT", "INSERT", "UPDATE", "DELETE"].as_slice())));
    wanted.push((MIGRATIONS, &["SELECT"]));
    wanted.push((OWNERS, &["SELECT"]));
    for (table, privileges) in wanted {
        for privilege in privileges {
            if !may(&mut tx, table, privilege).await? {
                missing.push(format!("{privilege} on {table}"));
            }
        }
    }
    for table in LOGS {
        for privilege in ["UPDATE", "DELETE", "TRUNCATE", "TRIGGER"] {
            if may(&mut tx, table, privilege).await? {
                beyond.push(format!("{privilege} on {table}"));
            }
        }
    }
    for privilege in ["INSERT", "UPDATE", "DELETE", "TRUNCATE", "TRIGGER"] {
        if may(&mut tx, OWNERS, privilege).await? {
            beyond.push(format!("{privilege} on {OWNERS}"));
        }
    }
    let call = "SELECT CASE WHEN has_function_privilege($1, 'EXECUTE') THEN 1 ELSE 0 END";
    let called = tx.row(call, &[EXPIRE.into()]).await?;
    if !called.map_or(Ok(false), |row| Ok::<_, StoreError>(row.int(0)? == 1))? {
        missing.push(format!("EXECUTE on {EXPIRE}"));
    }
    let told = |list: &[String], none: &str| if list.is_empty() { none.to_owned() } else { list.join(", ") };
    let none_missing = Finding::new("privileges", told(&missing, "all that are needed"));
    let none_beyond = Finding::new("append-only logs", told(&beyond, "the role can't change what they hold"));
    Ok(vec![
        none_missing.or_do(missing.is_empty(), "missing: run `drawbridge migrate`, which grants them"),
        none_beyond.or_do(
            beyond.is_empty(),
            "gateways need a role that is no superuser and doesn't own the tables: name one in `database.url`, \
             then run `drawbridge migrate`",
        ),
    ])
}

async fn may(tx: &mut Tx, table: &str, privilege: &str) -> Result<bool, StoreError> {
    let sql = "SELECT CASE WHEN has_table_privilege($1, $2) THEN 1 ELSE 0 END";
    let row = tx.row(sql, &[table.into(), privilege.into()]).await?;
    row.map_or(Ok(false), |row| Ok(row.int(0)? == 1))
}

fn examine_folder(folder: &Path) -> Vec<Finding> {
    let shown = folder.display();
    let (there, place) = if folder.is_dir() {
        (Finding::new("folder", format!("{shown}")), folder)
    } else {
        let parent = folder.ancestors().find(|a| a.is_dir()).unwrap_or(Path::new("."));
        (Finding::new("folder", format!("{shown} isn't there; the first start makes it")), parent)
    };
    let there = there.or_do(!folder.exists() || folder.is_dir(), "it is no folder: set another `data.dir`");
    let writable = rustix::fs::access(place, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    let writing = match writable {
        Ok(()) => Finding::new("writing", "can be written"),
        Err(error) => Finding::new("writing", error.to_string())
            .or_do(false, "give the user that runs the gateway write access, or mount the disk writable"),
    };
    let lock = match super::folder::is_locked(folder) {
        Ok(true) => Finding::new("lock", "held: a gateway runs on it"),
        Ok(false) => Finding::new("lock", "free"),
        Err(error) => Finding::new("lock", error.to_string())
            .or_do(false, "make `drawbridge.lock` in the data folder readable and writable for this user"),
    };
    let room = reserve::room(place);
    let mib = room >> 20;
    let wanted = 4 * reserve::SIZE;
    let space = Finding::new("disk space", format!("{mib} MiB free"))
        .or_do(room >= wanted, format!("make room: below {} MiB nothing can be promised", wanted >> 20));
    let reserve = match (folder.join("reserve").exists(), folder.join("drawbridge.db").exists()) {
        (true, _) => Finding::new("reserve", "held for revocations on a full disk"),
        (false, false) => Finding::new("reserve", "taken at the first start"),
        (false, true) => Finding::new("reserve", "spent")
            .or_do(false, "make room on the disk: while the reserve is spent, only revocations are written"),
    };
    vec![there, writing, lock, space, reserve]
}
