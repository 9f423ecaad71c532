//! Clients that nobody here wrote sign in: npm openid-client and oauth4webapi, Python Authlib.

use super::Flow;
use crate::support::clients::{node, python, ran, sources};
use crate::support::{Gateway, totp};
use std::process::Command;

/// A client signs the first staff account in.
fn signs_in(gateway: &Gateway, command: &mut Command) {
    let flow = Flow::at(gateway);
    let secret = flow.account("staff", "totp_secret");
    command
        .env("ISSUER", gateway.url(""))
        .env("ORG", gateway.org("acme"))
        .env("EMAIL", flow.account("staff", "email"))
        .env("PASSWORD", flow.account("staff", "password"))
        .env("OTP", [totp(secret, 0), totp(secret, 1)].join(","));
    assert!(ran(command).ends_with("ok"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_38_npm_openid_client() {
    let gateway = Gateway::demo();
    signs_in(&gateway, &mut node("openid-client.mjs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_25_s_27_s_38_npm_oauth4webapi_and_jose() {
    let gateway = Gateway::demo();
    signs_in(&gateway, &mut node("oauth4webapi.mjs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s_25_python_authlib_and_joserfc() {
    let gateway = Gateway::demo();
    signs_in(&gateway, python("authlib_client.py").env("AUTHLIB_INSECURE_TRANSPORT", "1"));
}

/// Nobody's registry is named: whose machine it is decides where packages come from.
#[test]
fn lock_files_name_no_host() {
    for (of, lock) in [("node", "package-lock.json"), ("python", "requirements.txt")] {
        let text = std::fs::read_to_string(sources(of).join(lock)).unwrap();
        assert!(
            !text.contains("resolved") && !text.contains("--index-url") && !text.contains(".tgz"),
            "{lock}"
        );
        assert!(text.contains("sha512-") || text.contains("--hash=sha256:"), "{lock} pins nothing");
    }
}
