//! The examples in `config/` hold, and gateways start on them.

use crate::support::redis::{Cluster, Sentinels, until};
use crate::support::{Held, postgres};
use drawbridge::config::{Config, LiveTopology, load};
use drawbridge::policy::defaults;
use std::fs;
use std::path::{Path, PathBuf};

/// A machine on which an example's files are: `/etc`, `/var/lib` and `/var/log` in a folder.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let etc = folder.path().join("etc/drawbridge");
        for dir in ["etc/drawbridge/tls", "etc/drawbridge/policies", "etc/drawbridge/schemas"] {
            fs::create_dir_all(folder.path().join(dir)).unwrap();
        }
        for dir in ["var/lib/drawbridge", "var/log/drawbridge"] {
            fs::create_dir_all(folder.path().join(dir)).unwrap();
        }
        for (name, text) in defaults::POLICIES {
            fs::write(etc.join("policies").join(name), text).unwrap();
        }
        for (name, text) in [defaults::PLATFORM_SCHEMA, defaults::DEMO_SCHEMA] {
            fs::write(etc.join("schemas").join(name), text).unwrap();
        }
        let made = rcgen::generate_simple_self_signed(["api.example.com".to_owned()]).unwrap();
        for name in ["tls/chain.pem", "database-ca.pem", "redis-ca.pem"] {
            fs::write(etc.join(name), made.cert.pem()).unwrap();
        }
        fs::write(etc.join("tls/key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::write(etc.join("master.key"), [7; 32]).unwrap();
        fs::write(etc.join("redis-password"), "unused\n").unwrap();
        for name in ["database-password", "database-owner-password"] {
            fs::write(etc.join(name), format!("{}\n", postgres::PASSWORD)).unwrap();
        }
        Self { folder }
    }

    /// The example, with this machine's paths and what else differs here.
    fn example(&self, name: &str, differs: &[(&str, &str)]) -> PathBuf {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let mut text = fs::read_to_string(source).unwrap();
        let root = self.folder.path().display();
        for place in ["/etc/drawbridge", "/var/lib/drawbridge", "/var/log/drawbridge"] {
            text = text.replace(place, &format!("{root}{place}"));
        }
        for (written, here) in differs {
            assert!(text.contains(written), "no `{written}` in {name}");
            text = text.replace(written, here);
        }
        let file = self.folder.path().join(name);
        fs::write(&file, text).unwrap();
        file
    }

    fn load(&self, name: &str) -> Config {
        load(&self.example(name, &[]), Path::new("")).unwrap_or_else(|faults| panic!("{name}: {faults}"))
    }
}

#[test]
fn every_example_holds() {
    let machine = Machine::new();
    let one = machine.load("one-node.toml");
    assert!(one.database.url.is_none() && one.live.url.is_none() && one.server.tls.is_some());
    for (name, cluster) in [("three-gateways.toml", false), ("redis-cluster.toml", true)] {
        let config = machine.load(name);
        let live = config.live.url.unwrap();
        assert!(live.tls && live.nodes.len() == 3, "{name}");
        assert_eq!(live.topology == LiveTopology::Cluster, cluster, "{name}");
        assert!(config.database.password_file.is_some() && !config.server.unready.is_zero(), "{name}");
    }
}

/// Served as it is, but for where it listens (which sockets that are held take the place of) and for servers.
async fn starts(machine: &Machine, file: &Path) {
    let mut held = Held::new();
    let client = reqwest::Client::builder().danger_accept_invalid_certs(true).http1_only().build().unwrap();
    let mut gateway = held.serve(file);
    gateway.ready(&held, &client).await;
    // Over TLS, as the host that is configured.
    let url = format!("https://{}/api/v1/cameras", held.gateway());
    let answer = client.get(url).header("host", "api.example.com").send().await.unwrap();
    // Nobody has made the first platform admin yet.
    assert_eq!(answer.status(), 503);
    assert!(answer.text().await.unwrap().contains("SETUP_REQUIRED"));
    let log = machine.folder.path().join("var/log/drawbridge/access.log");
    until("its access line", async || fs::read_to_string(&log).is_ok_and(|text| text.contains("cameras")))
        .await;
    drop(gateway);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_starts() {
    let machine = Machine::new();
    let file = machine.example("one-node.toml", &[]);
    starts(&machine, &file).await;
}

/// `migrate` with the owner's lines, then a gateway without them.
async fn starts_on_postgres(name: &str, live: &str) {
    let machine = Machine::new();
    let server = postgres::shared();
    let database = server.database();
    let (_, place) = database.url().split_once('@').map(|(_, place)| ((), place.to_owned())).unwrap();
    let from = "db.internal:5432/drawbridge?sslmode=verify-full&sslrootcert=";
    let ca = machine.folder.path().join("etc/drawbridge/database-ca.pem").display().to_string();
    let from = format!("{from}{ca}");
    let config = fs::read_to_string(machine.example(name, &[])).unwrap();
    let written = config.lines().find_map(|line| line.strip_prefix("url = \"redis")).unwrap();
    let written = format!("redis{}", written.trim_end_matches('"'));
    let secrets = config.lines().filter(|line| line.contains("redis-password") || line.contains("redis-ca"));
    let mut differs = vec![(from.as_str(), place.as_str()), (&written, live)];
    // The servers here have neither TLS nor users.
    differs.extend(secrets.map(|line| (line, "")));
    let owners = [("# owner_url", "owner_url"), ("# owner_password_file", "owner_password_file")];
    let migrate = machine.example(name, &[differs.as_slice(), &owners].concat());
    for command in ["migrate", "doctor"] {
        let ran = std::process::Command::new(env!("CARGO_BIN_EXE_drawbridge"))
            .args([command, "--config"])
            .arg(&migrate)
            .output()
            .unwrap();
        let said = [ran.stdout, ran.stderr].concat();
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&said));
    }
    let file = machine.example(name, &differs);
    starts(&machine, &file).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_gateways_start() {
    let redis = Sentinels::start().await;
    starts_on_postgres("three-gateways.toml", &redis.url()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_on_a_redis_cluster_starts() {
    let redis = Cluster::start().await;
    starts_on_postgres("redis-cluster.toml", &redis.url()).await;
}
