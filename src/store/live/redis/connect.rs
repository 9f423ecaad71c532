//! How a connection to the server that takes writes is made: single node, Sentinel, Cluster.

use super::backoff::Backoff;
use super::trouble::Trouble;
use crate::config::{LiveTopology, LiveUrl};
use crate::domain::Secret;
use redis::aio::{MultiplexedConnection, PubSub};
use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, FromRedisValue,
    IntoConnectionInfo as _, RedisConnectionInfo, RedisError, RedisResult, TlsCertificates,
};
use std::future::Future;
use std::time::Duration;

/// One multiplexed connection, or one for each node of a cluster.
#[derive(Clone)]
pub(super) enum Conn {
    Node {
        conn: MultiplexedConnection,
        /// The server, as it was named to us.
        address: (String, u16),
    },
    Cluster(ClusterConnection),
}

impl Conn {
    pub(super) async fn query<T: FromRedisValue>(&mut self, cmd: &Cmd) -> RedisResult<T> {
        match self {
            Self::Node { conn, .. } => cmd.query_async(conn).await,
            Self::Cluster(conn) => cmd.query_async(conn).await,
        }
    }
}

/// Makes connections.
pub(super) struct Connector {
    url: LiveUrl,
    password: Option<Secret>,
    ca: Option<Vec<u8>>,
    timeout: Duration,
}

impl Connector {
    /// `ca`: the authorities that may sign the servers' certificates (PEM).
    pub(super) fn new(
        url: LiveUrl,
        password: Option<Secret>,
        ca: Option<Vec<u8>>,
        timeout: Duration,
    ) -> Result<Self, Trouble> {
        if url.tls {
            // Two providers are compiled in, and rustls doesn't choose. Whoever is first does.
            pingora::tls::install_default_crypto_provider();
        }
        let made = Self { url, password, ca, timeout };
        // What is wrong with certificates shows here, before anything is tried.
        for (host, port) in &made.url.nodes {
            made.client(host, *port, true).map_err(|error| Trouble::from(&error))?;
        }
        Ok(made)
    }

    /// Bounds something that takes a few round trips.
    async fn within<T>(&self, trips: u32, work: impl Future<Output = RedisResult<T>>) -> Result<T, Trouble> {
        match tokio::time::timeout(self.timeout * trips, work).await {
            Ok(done) => done.map_err(|error| Trouble::from(&error)),
            Err(_) => Err(Trouble::Timeout),
        }
    }

    fn info(&self, host: &str, port: u16, identified: bool) -> RedisResult<ConnectionInfo> {
        let host = host.to_owned();
        let address = if self.url.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        // Without `CLIENT SETINFO`: one right less that the ACL user needs.
        let mut redis = RedisConnectionInfo::default().set_skip_set_lib_name();
        if identified {
            redis = redis.set_db(self.url.db);
            if let Some(user) = &self.url.user {
                redis = redis.set_username(user);
            }
            if let Some(password) = self.password.as_ref().or(self.url.password.as_ref()) {
                redis = redis.set_password(password.expose());
            }
        }
        Ok(address.into_connection_info()?.set_redis_settings(redis))
    }

    fn certificates(&self) -> TlsCertificates {
        TlsCertificates { client_tls: None, root_cert: self.ca.clone() }
    }

    fn client(&self, host: &str, port: u16, identified: bool) -> RedisResult<Client> {
        let info = self.info(host, port, identified)?;
        if self.url.tls { Client::build_with_tls(info, self.certificates()) } else { Client::open(info) }
    }

    async fn node(&self, host: &str, port: u16, identified: bool) -> Result<MultiplexedConnection, Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let client = self.client(host, port, identified).map_err(|error| Trouble::from(&error))?;
        // TCP and TLS, then who we are and which database.
        self.within(2, client.get_multiplexed_async_connection_with_config(&config)).await
    }

    /// A connection to the server that takes writes, which has answered.
    pub(super) async fn connect(&self, chance: &mut Backoff) -> Result<Conn, Trouble> {
        let mut conn = match &self.url.topology {
            LiveTopology::Cluster => Conn::Cluster(self.cluster().await?),
            LiveTopology::Single | LiveTopology::Sentinel { .. } => {
                let (host, port) = self.writable(chance).await?;
                let conn = self.node(&host, port, true).await?;
                Conn::Node { conn, address: (host, port) }
            }
        };
        self.check(&mut conn, chance).await?;
        Ok(conn)
    }

    /// Whether the connection still leads to the server that takes writes.
    pub(super) async fn check(&self, conn: &mut Conn, chance: &mut Backoff) -> Result<(), Trouble> {
        let _: String = self.within(1, conn.query(&redis::cmd("PING"))).await?;
        let (LiveTopology::Sentinel { .. }, Conn::Node { conn, address }) = (&self.url.topology, conn) else {
            return Ok(());
        };
        // A primary that was set aside may still answer, and may not know yet.
        let role: Result<redis::Value, _> = self.within(1, redis::cmd("ROLE").query_async(conn)).await;
        match role {
            Ok(role) if is_primary(&role) => {}
            // The user may not ask: then only the Sentinels know.
            Err(Trouble::Permission) => {}
            Ok(_) => return Err(Trouble::ReadOnly),
            Err(trouble) => return Err(trouble),
        }
        match self.writable(chance).await {
            Ok(named) if named == *address => Ok(()),
            // No Sentinel answers: what works goes on.
            Err(_) => Ok(()),
            Ok(_) => Err(Trouble::ReadOnly),
        }
    }

    async fn cluster(&self) -> Result<ClusterConnection, Trouble> {
        self.within(5, async { self.cluster_client()?.get_async_connection().await }).await
    }

    fn cluster_client(&self) -> Result<ClusterClient, RedisError> {
        let nodes = self.url.nodes.iter().map(|(host, port)| self.info(host, *port, true));
        let nodes = nodes.collect::<RedisResult<Vec<_>>>()?;
        let mut builder = ClusterClientBuilder::new(nodes)
            .connection_timeout(self.timeout)
            .response_timeout(self.timeout)
            .retries(3)
            .min_retry_wait(5)
            .max_retry_wait(50);
        if self.url.tls {
            builder = builder.certs(self.certificates());
        }
        builder.build()
    }

    /// Where the server is that takes writes (of a cluster: any node).
    async fn writable(&self, chance: &mut Backoff) -> Result<(String, u16), Trouble> {
        let nodes = &self.url.nodes;
        let count = nodes.len() as u64;
        // Not every gateway asks the same one first.
        let first = usize::try_from(chance.chance(count)).unwrap_or(0);
        let mut turned = nodes.iter().cycle().skip(first).take(nodes.len());
        let LiveTopology::Sentinel { service } = &self.url.topology else {
            return turned.next().cloned().ok_or(Trouble::Connection);
        };
        let mut last = Trouble::NoPrimary;
        for (host, port) in turned {
            match self.ask(host, *port, service).await {
                Ok(Some(address)) => return Ok(address),
                Ok(None) => {}
                Err(trouble) => last = trouble,
            }
        }
        Err(last)
    }

    /// Asks one Sentinel: without a password, and with the servers' if it wants one.
    async fn ask(&self, host: &str, port: u16, service: &str) -> Result<Option<(String, u16)>, Trouble> {
        let mut cmd = redis::cmd("SENTINEL");
        cmd.arg("get-master-addr-by-name").arg(service);
        for identified in [false, true] {
            let mut conn = match self.sentinel(host, port, identified).await {
                Err(Trouble::Authentication) if !identified => continue,
                other => other?,
            };
            match self.within(1, cmd.query_async(&mut conn)).await {
                Err(Trouble::Authentication) if !identified => {}
                other => return other,
            }
        }
        Err(Trouble::Authentication)
    }

    /// A Sentinel has no databases.
    async fn sentinel(
        &self,
        host: &str,
        port: u16,
        identified: bool,
    ) -> Result<MultiplexedConnection, Trouble> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(Some(self.timeout));
        let plain = self.info(host, port, identified).map_err(|error| Trouble::from(&error))?;
        let settings = plain.redis_settings().clone().set_db(0);
        let info = plain.set_redis_settings(settings);
        let client =
            if self.url.tls { Client::build_with_tls(info, self.certificates()) } else { Client::open(info) };
        let client = client.map_err(|error| Trouble::from(&error))?;
        self.within(2, client.get_multiplexed_async_connection_with_config(&config)).await
    }

    /// A connection that hears `channel`.
    pub(super) async fn subscribe(&self, channel: &str, chance: &mut Backoff) -> Result<PubSub, Trouble> {
        let (host, port) = self.writable(chance).await?;
        let client = self.client(&host, port, true).map_err(|error| Trouble::from(&error))?;
        let mut heard = self.within(2, client.get_async_pubsub()).await?;
        self.within(1, heard.subscribe(channel)).await?;
        Ok(heard)
    }

    /// How long an answer may take.
    pub(super) const fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// The first word of the answer to `ROLE`.
fn is_primary(role: &redis::Value) -> bool {
    let redis::Value::Array(fields) = role else { return false };
    match fields.first() {
        Some(redis::Value::BulkString(word)) => word == b"master",
        Some(redis::Value::SimpleString(word)) => word == "master",
        _ => false,
    }
}
