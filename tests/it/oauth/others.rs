//! Clients that nobody here wrote, as processes of their own: npm openid-client and oauth4webapi, Python Authlib, each
//! in the version of its lock file (`tests/clients`), installed into the target folder the first time.

use super::Flow;
use crate::support::{Gateway, totp};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

fn sources(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(of)
}

fn ran(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|e| panic!("{command:?}: {e}; `make test` installs what is missing"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.trim().to_owned()
}

/// Where a client's libraries are: a folder for each lock file, made whole or not at all.
fn installed(of: &str, lock: &str, install: impl FnOnce(&Path)) -> PathBuf {
    use sha2::Digest as _;
    let bytes = std::fs::read(sources(of).join(lock)).expect("a lock file");
    let digest = hex::encode(&sha2::Sha256::digest(&bytes)[..8]);
    let clients = Path::new(env!("CARGO_TARGET_TMPDIR")).join("clients");
    let ready = clients.join(format!("{of}-{digest}"));
    if !ready.exists() {
        std::fs::create_dir_all(&clients).unwrap();
        let making = tempfile::tempdir_in(&clients).unwrap();
        install(making.path());
        // Somebody else may have been first.
        if let Err(error) = std::fs::rename(making.path(), &ready) {
            assert!(ready.exists(), "{error}");
        }
    }
    ready
}

/// `node` with the libraries, and the scripts of now beside them.
fn node(script: &str) -> Command {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = installed("node", "package-lock.json", |into| {
            for file in ["package.json", "package-lock.json"] {
                std::fs::copy(sources("node").join(file), into.join(file)).unwrap();
            }
            let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
            ran(Command::new("npm").args(words).current_dir(into));
        });
        for entry in std::fs::read_dir(sources("node")).unwrap().map(Result::unwrap) {
            if entry.path().extension().is_some_and(|e| e == "mjs") {
                std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
            }
        }
        folder
    });
    let version = ran(Command::new("node").arg("--version"));
    let major: u32 = version.trim_start_matches('v').split('.').next().unwrap().parse().unwrap();
    let mut command = Command::new("node");
    if major < 20 {
        // Debian 12's, where it isn't there by itself.
        command.arg("--experimental-global-webcrypto");
    }
    command.arg("--no-warnings").arg(folder.join(script));
    command
}

fn python(script: &str) -> Command {
    // A virtual environment knows its own path: it is made where it stays.
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        installed("python", "requirements.txt", |into| {
            let requirements = sources("python").join("requirements.txt");
            let words =
                ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"];
            let target = into.join("lib");
            ran(Command::new("python3")
                .args(words)
                .arg("--target")
                .arg(target)
                .arg("--requirement")
                .arg(requirements));
        })
    });
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", folder.join("lib")).arg(sources("python").join(script));
    command
}

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
