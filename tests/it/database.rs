//! PostgreSQL as an operator meets it: `migrate`, `doctor`, and what a gateway says when it can't start.

use crate::support::Door;
use crate::support::postgres::{PASSWORD, Server, shared};
use drawbridge::store::PostgresOptions;
use drawbridge::store::db::migrate;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// A folder with a configuration; `database` are the lines of `[database]`.
fn site(database: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = format!(
        "[server]\nlisten = \"127.0.0.1:0\"\nadmin_listen = \"127.0.0.1:0\"\npublic_url = \"http://gate.example\"\n\
         [upstream]\nurl = \"http://127.0.0.1:9\"\n[policy]\npolicies = \"{0}/policies\"\nschemas = \"{0}/schemas\"\n\
         [data]\nmaster_key_file = \"master.key\"\n[database]\n{database}\n",
        sources.display()
    );
    std::fs::write(folder.path().join("drawbridge.toml"), text).unwrap();
    std::fs::write(folder.path().join("master.key"), [7; 32]).unwrap();
    std::fs::write(folder.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    folder
}

/// Exit code, stdout and stderr of a command; the password is in none of them.
fn run(folder: &Path, words: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
    command.args(words.split(' ')).args(["--config", "drawbridge.toml"]).current_dir(folder);
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(!format!("{out}{err}").contains(PASSWORD), "{words}: {out}{err}");
    (output.status.code().unwrap(), out, err)
}

fn wrong(told: &str) -> Vec<String> {
    let told: Value = serde_json::from_str(told).unwrap();
    let checks = told["checks"].as_array().unwrap().iter();
    checks.filter(|c| c["ok"] == false).map(|c| c["check"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn from_an_empty_database_to_an_operators_command() {
    let database = shared().database();
    let (url, owner) = (database.url().replace(&format!(":{PASSWORD}"), ""), database.owner_url());
    let site = site(&format!("url = \"{url}\"\npassword_file = \"password\"\nowner_url = \"{owner}\""));
    let (code, _, err) = run(site.path(), "serve");
    assert_eq!(code, 1);
    assert!(err.contains("run `drawbridge migrate`"), "{err}");
    let (code, out, _) = run(site.path(), "doctor --format json");
    assert_eq!((code, wrong(&out)), (1, vec!["migrations".to_owned()]), "{out}");
    let (code, out, _) = run(site.path(), "migrate");
    assert_eq!(code, 0);
    assert!(out.starts_with("ok: ") && out.ends_with("; `drawbridge` has what gateways need\n"), "{out}");
    let (code, out, _) = run(site.path(), "migrate --format json");
    assert_eq!(code, 0);
    assert!(
        out.starts_with(r#"{"applied":0,"version":"#) && out.contains(r#""role":"drawbridge"}"#),
        "{out}"
    );
    let (code, out, _) = run(site.path(), "doctor");
    assert!(code == 0 && !out.contains("WRONG") && out.contains("append-only logs"), "{out}");
    let add = "org add --name Acme --slug acme --owner-email o@acme.example";
    let ((_, first, _), (code, again, err)) = (run(site.path(), add), run(site.path(), add));
    assert_eq!((code, first.as_str()), (0, again.as_str()), "{err}");
    assert!(first.starts_with("org_"));
}

#[test]
fn a_server_that_is_not_there_is_said_with_what_to_do() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let site = site(&format!("url = \"postgres://me:{PASSWORD}@{free}/gone\""));
    let (code, out, _) = run(site.path(), "doctor");
    assert!(code == 1 && out.contains("WRONG connection") && out.contains("to do:"), "{out}");
    let (code, _, err) = run(site.path(), "serve");
    assert!(code == 1 && err.contains(&format!("PostgreSQL at me@{free}/gone can't be used")), "{err}");
    let (code, _, err) = run(site.path(), "migrate");
    assert!(code == 64 && err.contains("set `url`"), "{err}");
}

#[test]
fn a_folder_is_examined_too() {
    let site = site("");
    let (code, out, _) = run(site.path(), "doctor");
    assert!(
        code == 0 && out.contains("the first start makes it") && !site.path().join("data").exists(),
        "{out}"
    );
    std::fs::create_dir(site.path().join("data")).unwrap();
    std::fs::write(site.path().join("data/drawbridge.db"), "").unwrap();
    let (code, out, _) = run(site.path(), "doctor --format json");
    assert_eq!((code, wrong(&out)), (1, vec!["reserve".to_owned()]), "{out}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_a_certificate_that_is_checked() {
    let server = Server::start(&[]);
    let authority = server.serve_tls();
    let database = server.database();
    let tls = |url: String, file: &Path| {
        url.replace("sslmode=disable", &format!("sslmode=verify-full&sslrootcert={}", file.display()))
    };
    let (url, owner) = (tls(database.url(), &authority), tls(database.owner_url(), &authority));
    migrate(&PostgresOptions::new(owner), &PostgresOptions::new(url.as_str())).await.unwrap();
    let door = Door::open(|config| {
        std::fs::create_dir_all(&config.data.dir).unwrap();
        config.database.url = Some(url.parse().unwrap());
    })
    .await;
    door.get("/api/v1/cameras", &door.owner).await.expect(200);
    let used = "SELECT count(*), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                WHERE usename = 'drawbridge'";
    let used = database.sql(used);
    assert!(used.ends_with("|t") && !used.starts_with("0|"), "every connection is encrypted: {used}");
    // Another authority's word isn't taken.
    let other = Server::start(&[]);
    let site = site(&format!("url = \"{}\"", tls(database.url(), &other.serve_tls())));
    let (code, out, _) = run(site.path(), "doctor --format json");
    assert_eq!((code, wrong(&out)), (1, vec!["connection".to_owned()]), "{out}");
}

#[test]
fn a_standby_is_refused_and_explained() {
    let mut server = Server::start(&[]);
    let (url, owner, _) = {
        let database = server.database();
        (database.url(), database.owner_url(), database.keep())
    };
    let site = site(&format!("url = \"{url}\"\nowner_url = \"{owner}\""));
    assert_eq!(run(site.path(), "migrate").0, 0);
    server.demote();
    let (code, out, _) = run(site.path(), "doctor");
    assert!(code == 1 && out.contains("standby") && out.contains("to do:"), "{out}");
    let (code, _, err) = run(site.path(), "serve");
    assert!(code == 1 && err.contains("standby"), "{err}");
}
