//! Programs that nobody here wrote, as processes of their own: clients and a provider, each with the libraries of its lock
//! file (`tests/clients`), installed into the target folder the first time.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where the scripts and lock files are.
pub(crate) fn sources(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(of)
}

/// What a command that succeeds printed.
pub(crate) fn ran(command: &mut Command) -> String {
    let output =
        command.output().unwrap_or_else(|e| panic!("{command:?}: {e}; `make test` installs what is missing"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}\n{err}");
    out.trim().to_owned()
}

/// Where libraries are: a folder for each lock file, made whole or not at all.
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
pub(crate) fn node(script: &str) -> Command {
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

/// `python3` with the libraries.
pub(crate) fn python(script: &str) -> Command {
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
