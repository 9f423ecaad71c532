//! Commands as a person runs them.

use std::process::Command;

/// Runs `drawbridge audit …` with a token, on a thread that may wait: exit code, stdout and stderr.
pub(crate) async fn audit(token: &str, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_drawbridge"));
    command.arg("audit").args(args).env("DRAWBRIDGE_TOKEN", token);
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.expect("a thread").expect("it runs");
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), out, err)
}
