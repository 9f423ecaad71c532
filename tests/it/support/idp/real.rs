//! npm oidc-provider, as a process.

use super::super::clients::node;
use super::super::redis::Guard;
use super::SECRET;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

/// A certified provider; killed when dropped.
pub(crate) struct RealProvider {
    child: Child,
    _guard: Guard,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    pub(crate) issuer: String,
}

impl RealProvider {
    /// Starts it; it has no clients and nobody yet.
    pub(crate) fn start() -> Self {
        let mut child = node("provider.mjs")
            .env("CLIENT_SECRET", SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node starts");
        let guard = Guard::of(child.id());
        let input = child.stdin.take().expect("its input");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let mut provider = Self { child, _guard: guard, input, lines, issuer: String::new() };
        provider.issuer = provider.said()["issuer"].as_str().expect("an issuer").to_owned();
        provider
    }

    fn said(&mut self) -> Value {
        let line = self.lines.next().expect("it goes on").expect("a text");
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"))
    }

    /// Tells it where the gateway is, and who there is: claims by login.
    pub(crate) fn serve(&mut self, gateway: &str, accounts: &Value) {
        let told = json!({ "redirect_uri": format!("{gateway}/auth/oidc/callback"), "accounts": accounts });
        writeln!(self.input, "{told}").expect("it reads");
        assert_eq!(self.said(), json!({ "ready": true }));
    }
}

impl Drop for RealProvider {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
