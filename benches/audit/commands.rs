//! `drawbridge audit export` and `verify` on the log that was made, as an operator runs them.

use super::engine::Store;
use super::support::gateway::BINARY;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Instant;

/// What they took, one row each; `entries` are in the platform's log, `all` in all logs.
pub(crate) fn rows(store: &mut Store, entries: u64, all: u64) -> String {
    let (config, file) = (configuration(store), store.folder.join("platform.export"));
    let mut text = "\n| command | s | entries/s |\n|---|---|---|\n".to_owned();
    store.forget();
    let mut export = audit("export");
    export.arg("--config").arg(&config).arg("--platform");
    export.stdout(File::create(&file).unwrap()).stderr(Stdio::piped());
    row(&mut text, "audit export, platform", export, entries);
    let mut verify = audit("verify");
    verify.arg("--export").arg(&file);
    row(&mut text, "audit verify --export", verify, entries);
    let mut verify = audit("verify");
    verify.arg("--config").arg(&config);
    row(&mut text, "audit verify --config, all logs and their tables", verify, all);
    let mut verify = Command::new("python3");
    verify.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/verify_audit.py")).arg(&file);
    row(&mut text, "tools/verify_audit.py", verify, entries);
    std::fs::remove_file(&file).unwrap();
    text
}

fn audit(what: &str) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["audit", what]);
    command
}

fn row(text: &mut String, name: &str, mut command: Command, entries: u64) {
    let begun = Instant::now();
    let output = command.output().expect("drawbridge starts");
    let took = begun.elapsed().as_secs_f64();
    let line = if output.status.success() {
        format!("| {name} | {took:.2} | {:.0} |", entries as f64 / took)
    } else {
        format!("| {name} | {} | |", why(&output))
    };
    eprintln!("{line}");
    writeln!(text, "{line}").unwrap();
}

/// Why a command failed, for a cell of the table.
fn why(output: &Output) -> String {
    let told = String::from_utf8_lossy(&output.stderr);
    format!("failed ({}): {}", output.status, told.lines().next().unwrap_or_default())
}

/// The configuration of a gateway on these records.
fn configuration(store: &Store) -> PathBuf {
    let (dir, root) = (store.folder.display(), Path::new(env!("CARGO_MANIFEST_DIR")).display());
    let mut text = String::from("[server]\npublic_url = \"http://gate.bench\"\n");
    writeln!(text, "[upstream]\nurl = \"http://127.0.0.1:9\"").unwrap();
    writeln!(text, "[data]\ndir = \"{dir}\"\nmaster_key_file = \"{dir}/master.key\"").unwrap();
    if let Some(postgres) = &store.postgres {
        writeln!(text, "[database]\nurl = \"{}\"", postgres.url).unwrap();
    }
    writeln!(text, "[policy]\npolicies = \"{root}/policies\"\nschemas = \"{root}/schemas\"").unwrap();
    writeln!(text, "[log]\nlevel = \"warn\"\naccess = \"off\"").unwrap();
    let file = store.folder.join("bench.toml");
    std::fs::write(&file, text).unwrap();
    file
}
