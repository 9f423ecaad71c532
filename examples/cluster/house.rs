//! Everything, started in order: records, live sessions, people, the demo API, gateways.

use crate::Failure;
use crate::gateway::Gateway;
use crate::postgres;
use crate::redis::Sentinels;
use drawbridge::app::{People, lay_out, migrate_database, open_access, seed};
use drawbridge::config::load;
use drawbridge::identity::Sealer;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio_util::sync::CancellationToken;

/// What runs. Dropped, it ends everything, gateways first.
pub(crate) struct House {
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) people: People,
    pub(crate) upstream: String,
    pub(crate) postgres_urls: [String; 3],
    pub(crate) live_url: String,
    pub(crate) redis: Sentinels,
    pub(crate) postgres: postgres::Server,
    pub(crate) data: PathBuf,
    demo: CancellationToken,
    /// The last to go.
    _folder: Option<Folder>,
}

/// A temporary folder that is removed with this process, however that ends.
struct Folder {
    shell: Child,
}

impl Folder {
    fn guard(path: &Path) -> std::io::Result<Self> {
        // What still writes into it ends at about the same time.
        let script = "trap '' HUP INT TERM; read -r _; for n in 1 2 3 4 5 6 7 8 9 10; do \
                      rm -rf \"$1\" 2>/dev/null && exit; sleep 0.2; done";
        let mut command = Command::new("sh");
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let shell = command
            .args(["-c", script, "sh"])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { shell })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closes the pipe.
        drop(self.shell.wait());
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn folder(given: Option<PathBuf>) -> Result<(PathBuf, Option<Folder>), Failure> {
    let (path, guard) = match given {
        Some(path) => {
            fs::create_dir_all(&path)?;
            (fs::canonicalize(path)?, None)
        }
        None => {
            let path = tempfile::Builder::new().prefix("drawbridge-cluster-").tempdir()?.keep();
            // PostgreSQL, which isn't root, has to get through.
            fs::set_permissions(&path, fs::Permissions::from_mode(0o711))?;
            let guard = Folder::guard(&path)?;
            (path, Some(guard))
        }
    };
    let temporary = path.join("tmp");
    fs::create_dir_all(&temporary)?;
    let _set_before = tempfile::env::override_temp_dir(&temporary);
    Ok((path, guard))
}

/// The program that was built beside this one: `target/debug/examples/cluster`, `target/debug/drawbridge`.
fn beside() -> Result<PathBuf, Failure> {
    let me = std::env::current_exe()?;
    let found = me.parent().and_then(Path::parent).map(|folder| folder.join("drawbridge"));
    found.filter(|program| program.exists()).ok_or_else(|| {
        "`drawbridge` isn't built: use `make cluster`, or `cargo build --bin drawbridge` before".into()
    })
}

impl House {
    pub(crate) async fn start(data: Option<PathBuf>, program: Option<PathBuf>) -> Result<Self, Failure> {
        let program = program.map_or_else(beside, Ok)?;
        let (data, guard) = folder(data)?;
        eprintln!("cluster: data in {}", data.display());
        eprintln!("cluster: starting PostgreSQL");
        let postgres = postgres::Server::open(&data.join("postgres"), &["autovacuum=on"]);
        let postgres_urls = postgres.named("drawbridge");
        eprintln!("cluster: starting Redis, a replica and three Sentinels");
        let redis = Sentinels::start().await;
        let live_url = redis.url();

        let (policies, schemas) = (data.join("policies"), data.join("schemas"));
        lay_out(&policies, &schemas, None, None)?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let upstream = format!("http://{}", listener.local_addr()?);
        let mut gateways = ["a", "b", "c"]
            .map(|name| Gateway::new(format!("gateway-{name}"), program.clone(), &data))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        drop(Sealer::open_or_create(&data.join("master.key"))?);
        for gateway in &gateways {
            let text = configuration(gateway, &gateways, &data, &upstream, &postgres_urls, &live_url);
            write_private(gateway.config(), &text)?;
        }
        let Some(first) = gateways.first() else { return Err("no gateway".into()) };
        let mut config = load(first.config(), &data).map_err(|faults| faults.to_string())?;
        let [_, owner, _] = &postgres_urls;
        let owners = format!("[database]\nurl = \"{}\"\nowner_url = \"{owner}\"\n", postgres_urls[0]);
        let text = format!(
            "{owners}[data]\nmaster_key_file = \"{}\"\n[policy]\npolicies = \"{}\"\nschemas = \"{}\"\n[upstream]\nurl = \"{upstream}\"\n",
            data.join("master.key").display(),
            policies.display(),
            schemas.display()
        );
        let owner = data.join("migrate.toml");
        write_private(&owner, &text)?;
        let migrating = load(&owner, &data).map_err(|faults| faults.to_string())?;
        let migrated = migrate_database(&migrating).await?;
        eprintln!("cluster: {} migrations applied, version {}", migrated.applied, migrated.version);
        config.log.access = drawbridge::config::AccessLogTo::Off;
        let people = {
            let (access, audit) = open_access(&config).await?;
            let people = seed(&access).await?;
            audit.drain().await;
            people
        };
        let demo = CancellationToken::new();
        tokio::spawn(drawbridge::demo::serve(listener, people.orgs(), demo.clone()));
        eprintln!("cluster: starting three gateways");
        for gateway in &mut gateways {
            gateway.up().await?;
        }
        let house = Self {
            gateways,
            people,
            upstream,
            postgres_urls,
            live_url,
            redis,
            postgres,
            data,
            demo,
            _folder: guard,
        };
        house.tell()?;
        Ok(house)
    }

    pub(crate) fn environment_file(&self) -> String {
        self.data.join("cluster.env").display().to_string()
    }

    /// Writes down where everything is at the moment.
    fn tell(&self) -> Result<(), Failure> {
        write_private(&self.data.join("cluster.env"), &self.environment())?;
        write_private(&self.data.join("cluster.json"), &format!("{}\n", self.line()))?;
        Ok(())
    }

    /// Starts every gateway anew, one after another, each when the one before is ready; also those that are gone.
    pub(crate) async fn roll(&mut self) -> Result<(), Failure> {
        for gateway in &mut self.gateways {
            gateway.down().await;
            gateway.up().await?;
        }
        self.tell()
    }

    /// Says what has ended.
    pub(crate) fn look(&mut self) -> Result<(), Failure> {
        for gateway in &mut self.gateways {
            if let Some(status) = gateway.ended()? {
                eprintln!(
                    "cluster: {} has ended ({status}); kill -HUP {} starts it again",
                    gateway.name,
                    std::process::id()
                );
            }
        }
        Ok(())
    }

    /// Gateways drain side by side; the rest ends when this value does.
    pub(crate) async fn stop(&mut self) {
        let mut ending = tokio::task::JoinSet::new();
        for mut gateway in self.gateways.drain(..) {
            ending.spawn(async move { gateway.down().await });
        }
        ending.join_all().await;
        self.demo.cancel();
    }
}

/// The file of one gateway.
fn configuration(
    gateway: &Gateway,
    all: &[Gateway],
    data: &Path,
    upstream: &str,
    postgres_urls: &[String; 3],
    live_url: &str,
) -> String {
    let ports = || all.iter().map(|one| one.addresses.gateway.port());
    let hosts: Vec<_> =
        ports().flat_map(|port| [format!("127.0.0.1:{port}"), format!("localhost:{port}")]).collect();
    let public = all.first().map_or(gateway.addresses.gateway, |one| one.addresses.gateway);
    let mut text = String::new();
    let data = data.display();
    let written = write!(
        text,
        r#"# One of three gateways of `make cluster`. They differ in where they listen and log.
[server]
listen = "{listen}"
admin_listen = "{admin}"
# The same for all: it is the issuer of their tokens.
public_url = "http://{public}"
hosts = {hosts:?}
workers = 1
drain_seconds = 5

[upstream]
url = "{upstream}"

[data]
dir = "{data}/{name}"
master_key_file = "{data}/master.key"

[database]
url = "{database}"
connections = 8

[live]
url = "{live_url}"

[policy]
policies = "{data}/policies"
schemas = "{data}/schemas"

[log]
access = "{data}/{name}.access.log"
format = "human"
"#,
        listen = gateway.addresses.gateway,
        admin = gateway.addresses.admin,
        name = gateway.name,
        database = postgres_urls[0],
    );
    debug_assert!(written.is_ok(), "a String takes everything");
    text
}
