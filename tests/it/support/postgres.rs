//! A real PostgreSQL, started by the tests that use it: one for the whole process with a database for each test,
//! and servers of a test's own to break.
//!
//! Nothing of it outlives the test process, however that ends: a shell holds the server and ends it, with its
//! files, when the pipe from the test process closes. Needs `initdb`, `postgres` and `psql`, in PATH or where
//! Debian puts them (`make test` installs them).
//!
//! Used by `tests/it` and, by path, by the tests in `src` and by `examples/cluster`, so it knows nothing of the program.

#![allow(dead_code, reason = "each includer uses a part")]

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take to start.
const START: Duration = Duration::from_secs(60);
/// Password of every role, and nowhere else to be seen.
pub(crate) const PASSWORD: &str = "pg-test-secret";
const OWNER: &str = "drawbridge_owner";
const GATEWAYS: &str = "drawbridge";

/// A server.
pub(crate) struct Server {
    folder: PathBuf,
    /// The folder goes with the server.
    temporary: bool,
    port: u16,
    user: Option<User>,
    extra: Vec<String>,
    guard: Option<Guard>,
    databases: AtomicUsize,
}

/// A database of one test, dropped with it.
pub(crate) struct Database<'s> {
    server: &'s Server,
    name: String,
}

/// A copy of what a server had.
pub(crate) struct Backup {
    folder: PathBuf,
}

/// Whom servers run as when the tests run as root, which PostgreSQL refuses.
#[derive(Debug, Clone)]
struct User {
    uid: u32,
    gid: u32,
}

/// The shell that ends the server when its standard input ends.
struct Guard {
    shell: Child,
}

/// The server of this process.
pub(crate) fn shared() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start(&[]))
}

fn binary(name: &str) -> PathBuf {
    let debian = || {
        let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .collect();
        versions.sort();
        versions.into_iter().rev().map(|v| v.join("bin").join(name)).find(|p| p.exists())
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.exists()).or_else(debian);
    found.unwrap_or_else(|| {
        panic!("`{name}` is missing: install PostgreSQL (on Debian: apt-get install postgresql), or run `make test`")
    })
}

impl User {
    /// `None`: the tests run as somebody ordinary, so may the server.
    fn choose() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            return None;
        }
        let known = std::fs::read_to_string("/etc/passwd").expect("users");
        let of = |name: &str| {
            let line = known.lines().find(|l| l.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
        };
        Some(of("postgres").or_else(|| of("nobody")).expect("a user `postgres` or `nobody`"))
    }
}

/// `program` as `user`.
fn command(user: Option<&User>, program: &Path) -> Command {
    let Some(user) = user else { return Command::new(program) };
    let mut command = Command::new("setpriv");
    command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid));
    command.arg("--clear-groups").arg(program);
    command
}

fn told(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

impl Server {
    /// A server of one's own with these settings (`name=value`) beside the usual ones.
    pub(crate) fn start(settings: &[&str]) -> Self {
        let folder =
            tempfile::Builder::new().prefix("drawbridge-postgres-").tempdir().expect("a folder").keep();
        let user = User::choose();
        Self::make(&folder, user.as_ref());
        Self::run(folder, true, user, settings)
    }

    /// The server of `folder`, which outlives it; made if there is none.
    pub(crate) fn open(folder: &Path, settings: &[&str]) -> Self {
        let user = User::choose();
        if !folder.join("data/PG_VERSION").exists() {
            std::fs::create_dir_all(folder).expect("a folder");
            Self::make(folder, user.as_ref());
        }
        Self::run(folder.to_owned(), false, user, settings)
    }

    /// Makes an empty server in `folder`.
    fn make(folder: &Path, user: Option<&User>) {
        if let Some(user) = user {
            chown(folder, Some(user.uid), Some(user.gid)).expect("the folder is the server's");
        }
        let password = folder.join("password");
        std::fs::write(&password, PASSWORD).expect("a file");
        if let Some(user) = user {
            chown(&password, Some(user.uid), Some(user.gid)).expect("the file is the server's");
        }
        let made = command(user, &binary("initdb"))
            .args([
                "--username=postgres",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
            ])
            .arg(format!("--pwfile={}", password.display()))
            .arg("-D")
            .arg(folder.join("data"))
            .current_dir(folder)
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb (as {user:?}) in `{}`: {}", folder.display(), told(&made));
    }

    fn run(folder: PathBuf, temporary: bool, user: Option<User>, settings: &[&str]) -> Self {
        let extra = settings.iter().map(|s| (*s).to_owned()).collect();
        let databases = AtomicUsize::new(0);
        let mut server = Self { folder, temporary, port: 0, user, extra, guard: None, databases };
        server.up();
        for role in [OWNER, GATEWAYS] {
            let known = format!("SELECT 1 FROM pg_roles WHERE rolname = '{role}'");
            if server.sql("postgres", &known).is_empty() {
                server.sql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"));
            }
        }
        server
    }

    /// From now on it takes TLS too; the file of the authority that signed its certificate.
    pub(crate) fn serve_tls(&self) -> PathBuf {
        let mut authority = rcgen::CertificateParams::new(Vec::new()).expect("an authority");
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority_key = rcgen::KeyPair::generate().expect("a key");
        let authority_cert = authority.self_signed(&authority_key).expect("a certificate");
        let key = rcgen::KeyPair::generate().expect("a key");
        let issuer = rcgen::Issuer::new(authority, authority_key);
        let cert = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a host");
        let cert = cert.signed_by(&key, &issuer).expect("a certificate");
        // Where the server looks by default.
        for (name, pem) in [("server.crt", cert.pem()), ("server.key", key.serialize_pem())] {
            let path = self.folder.join("data").join(name);
            std::fs::write(&path, pem).expect("a file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("its mode");
            if let Some(user) = &self.user {
                chown(&path, Some(user.uid), Some(user.gid)).expect("the file is the server's");
            }
        }
        self.sql("postgres", "ALTER SYSTEM SET ssl = on");
        self.sql("postgres", "SELECT pg_reload_conf()");
        let file = self.folder.join("authority.pem");
        std::fs::write(&file, authority_cert.pem()).expect("a file");
        file
    }

    /// Starts it (again); on the port that it had, if it had one.
    pub(crate) fn up(&mut self) {
        for attempt in 0..5 {
            if self.port == 0 || attempt > 0 {
                let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
                self.port = free.local_addr().expect("its address").port();
            }
            if self.try_up() {
                return;
            }
        }
        panic!("PostgreSQL doesn't start: {}", self.log());
    }

    fn try_up(&mut self) -> bool {
        let mut server = command(self.user.as_ref(), &binary("postgres"));
        server.arg("-D").arg(self.folder.join("data")).arg("-k").arg(&self.folder);
        let port = format!("port={}", self.port);
        let usual = [
            port.as_str(),
            "listen_addresses=127.0.0.1",
            "max_connections=400",
            "shared_buffers=32MB",
            "autovacuum=off",
            "deadlock_timeout=200ms",
        ];
        for setting in usual.into_iter().chain(self.extra.iter().map(String::as_str)) {
            server.args(["-c", setting]);
        }
        let mut line = vec![server.get_program().to_owned()];
        line.extend(server.get_args().map(ToOwned::to_owned));
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        // Ends the server, and removes its folder if that is still a test's when the pipe closes.
        let script = "trap '' HUP INT TERM; folder=$1; shift; \"$@\" </dev/null & server=$!; read -r keep; \
                      kill -QUIT $server 2>/dev/null; wait $server; [ \"$keep\" = keep ] || [ -z \"$folder\" ] || rm -rf \"$folder\"";
        let shell = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(if self.temporary { self.folder.as_os_str() } else { std::ffi::OsStr::new("") })
            .args(line)
            // Ctrl-C in a terminal is for the program that started it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .current_dir(&self.folder)
            .spawn()
            .expect("a shell");
        self.guard = Some(Guard { shell });
        let begun = Instant::now();
        while begun.elapsed() < START {
            if self.ask("postgres", "SELECT 1").status.success() {
                return true;
            }
            // The port was taken meanwhile, or a setting is wrong.
            if self.pid().is_none() && begun.elapsed() > Duration::from_secs(3) {
                break;
            }
        }
        self.down();
        false
    }

    /// Ends it at once, as a crash does; what it has is kept.
    pub(crate) fn down(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            let mut pipe = guard.shell.stdin.take().expect("a pipe");
            drop(pipe.write_all(b"keep\n"));
            drop(pipe);
            drop(guard.shell.wait());
        }
    }

    /// A copy of all it has, as a backup is; it is ended for it and started again.
    pub(crate) fn back_up(&mut self) -> Backup {
        self.down();
        let folder = self.folder.join("backup");
        self.copy(&self.folder.join("data"), &folder);
        self.up();
        Backup { folder }
    }

    /// Ends it, puts `backup` in the place of what it has, and starts it: what came since is lost.
    pub(crate) fn put_back(&mut self, backup: &Backup) {
        self.down();
        let data = self.folder.join("data");
        std::fs::remove_dir_all(&data).expect("the data go");
        self.copy(&backup.folder, &data);
        self.up();
    }

    /// As [`Server::put_back`], as a standby that lagged behind does: promoted, it begins a new timeline.
    pub(crate) fn fail_over_to(&mut self, backup: &Backup) {
        std::fs::write(backup.folder.join("standby.signal"), "").expect("a file");
        self.put_back(backup);
        self.sql("postgres", "SELECT pg_promote()");
    }

    /// Starts it again as a standby that follows nobody: it answers, and takes no writes.
    pub(crate) fn demote(&mut self) {
        self.down();
        std::fs::write(self.folder.join("data/standby.signal"), "").expect("a file");
        self.up();
    }

    /// A primary again, without a new timeline.
    pub(crate) fn undo_demotion(&mut self) {
        self.down();
        std::fs::remove_file(self.folder.join("data/standby.signal")).expect("no file");
        self.up();
    }

    fn copy(&self, from: &Path, to: &Path) {
        let copied = command(self.user.as_ref(), Path::new("cp")).arg("-a").arg(from).arg(to).status();
        assert!(copied.expect("cp runs").success());
    }

    /// Stops every process of it where it stands, or lets them go on.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let master = self.pid().expect("a running server");
        for process in [master].into_iter().chain(children(master)) {
            let process = rustix::process::Pid::from_raw(process).expect("a process");
            let _gone = rustix::process::kill_process(process, signal);
        }
    }

    pub(crate) fn pid(&self) -> Option<i32> {
        let file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }

    /// What the server said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// psql as superuser, with `sql` to run.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new(binary("psql"));
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"])
            .args(["-p", &self.port.to_string(), "-d", database, "-c", sql])
            .env("PGPASSWORD", PASSWORD)
            .env("PGCONNECT_TIMEOUT", "5")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    fn ask(&self, database: &str, sql: &str) -> Output {
        self.psql(database, sql).stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("psql runs")
    }

    /// Runs `sql` as superuser; what it gave.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let output = self.ask(database, sql);
        assert!(output.status.success(), "{sql}: {}", told(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// A new database, empty.
    pub(crate) fn database(&self) -> Database<'_> {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {OWNER}"));
        Database { server: self, name }
    }

    /// The database of that name, made if there is none, and kept: the URLs of gateways, owner and superuser.
    pub(crate) fn named(&self, name: &str) -> [String; 3] {
        if self.sql("postgres", &format!("SELECT 1 FROM pg_database WHERE datname = '{name}'")).is_empty() {
            self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {OWNER}"));
        }
        [GATEWAYS, OWNER, "postgres"].map(|role| self.url(role, name))
    }

    fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}:{PASSWORD}@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

impl Database<'_> {
    /// As the role that gateways have.
    pub(crate) fn url(&self) -> String {
        self.server.url(GATEWAYS, &self.name)
    }

    /// As the owner of the tables.
    pub(crate) fn owner_url(&self) -> String {
        self.server.url(OWNER, &self.name)
    }

    /// As a superuser, whom nothing should let start a gateway.
    pub(crate) fn superuser_url(&self) -> String {
        self.server.url("postgres", &self.name)
    }

    /// Runs `sql` as superuser; what it gave.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }
}

impl Database<'_> {
    /// Leaves it to its server, which a test may want to end or to change; its name.
    pub(crate) fn keep(mut self) -> String {
        std::mem::take(&mut self.name)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() && !self.name.is_empty() {
            self.server.ask("postgres", &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let (Some(_), Some(_)) = (&self.guard, self.pid()) {
            self.signal(rustix::process::Signal::CONT);
        }
        self.down();
        if self.temporary {
            drop(std::fs::remove_dir_all(&self.folder));
        }
    }
}

fn children(of: i32) -> Vec<i32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let parent = |pid: i32| -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Behind the name in brackets: state, parent.
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let all = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|pid| parent(*pid) == Some(of)).collect()
}
