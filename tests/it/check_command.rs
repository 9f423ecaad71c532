//! `drawbridge check` as its caller sees it: exit code, stdout and stderr.

use drawbridge::policy::defaults;
use std::path::Path;
use std::process::Command;

/// Runs `check` on `text` in a folder that has policies and schemas; the folder's path is written `[DIR]`.
fn check(text: &str, more: &[&str]) -> String {
    let dir = tempfile::tempdir().unwrap();
    for (folder, files) in
        [("policies", defaults::POLICIES), ("schemas", &[defaults::PLATFORM_SCHEMA, defaults::DEMO_SCHEMA])]
    {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(folder).join(name), text).unwrap();
        }
    }
    std::fs::write(dir.path().join("gate.toml"), text).unwrap();
    run(dir.path(), &[&["check", "--config", "gate.toml"], more].concat())
}

fn run(dir: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_drawbridge")).args(args).current_dir(dir).output().unwrap();
    let dir = dir.display().to_string();
    let show = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&dir, "[DIR]");
    format!(
        "exit {:?}\n--- stdout\n{}--- stderr\n{}",
        output.status.code(),
        show(&output.stdout),
        show(&output.stderr)
    )
}

#[test]
fn a_good_file() {
    insta::assert_snapshot!(check("[upstream]\nurl = \"http://127.0.0.1:9000\"\n", &[]));
}

#[test]
fn a_good_file_as_json() {
    insta::assert_snapshot!(check("[upstream]\nurl = \"http://127.0.0.1:9000\"\n", &["--format", "json"]));
}

const WRONG: &str = "[server]
listen = \"0.0.0.0:80800\"
litsen = \"127.0.0.1:8080\"
workers = \"four\"
public_url = \"http://api.example.com\"

[server.tls]
cert = \"cert.pem\"

[upstream]
url = \"http://me:secret@127.0.0.1:9000\"
connect_timeout = 3

[policy]
policies = \"policy\"

[logs]
level = \"info\"
";

#[test]
fn many_faults_at_once() {
    insta::assert_snapshot!(check(WRONG, &[]));
}

#[test]
fn many_faults_as_json() {
    insta::assert_snapshot!(check(WRONG, &["--format", "json"]));
}

#[test]
fn broken_syntax() {
    insta::assert_snapshot!(check(
        "[server\nlisten = \"127.0.0.1:1\"\n\n[upstream]\nurl = 'http://a\nhost = =\n",
        &[]
    ));
}

#[test]
fn contradictions() {
    insta::assert_snapshot!(check(
        "[server]\nlisten = \"0.0.0.0:8080\"\nadmin_listen = \"0.0.0.0:8080\"\ndrain_seconds = 1\n\
         lame_duck_ms = 5000\n\n[upstream]\nurl = \"http://127.0.0.1:9000\"\n",
        &[]
    ));
}

#[test]
fn an_empty_file() {
    insta::assert_snapshot!(check("", &[]));
}

#[test]
fn no_file() {
    let dir = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(run(dir.path(), &["check", "--config", "nowhere.toml"]));
}

#[test]
fn wrong_usage() {
    let dir = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(run(dir.path(), &["check", "--confg", "gate.toml"]));
}

#[test]
fn a_policy_that_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let schemas = dir.path().join("schemas");
    std::fs::create_dir_all(&schemas).unwrap();
    std::fs::create_dir_all(dir.path().join("policies")).unwrap();
    for (name, text) in [defaults::PLATFORM_SCHEMA, defaults::DEMO_SCHEMA] {
        std::fs::write(schemas.join(name), text).unwrap();
    }
    let wrong = "@id(\"a\")\npermit (principal is PlatformUsr, action, resource);\n";
    std::fs::write(dir.path().join("policies/a.cedar"), wrong).unwrap();
    std::fs::write(dir.path().join("gate.toml"), "[upstream]\nurl = \"http://127.0.0.1:9000\"\n").unwrap();
    insta::assert_snapshot!(run(dir.path(), &["check", "--config", "gate.toml"]));
}
