//! `drawbridge dev`: everything embedded, two orgs, seeded people, a demo API behind the gate unless a
//! service is named. For trying out and for tests; `serve` is the same gateway on a configuration of yours.

use super::bundled;
use super::compose::compose;
use super::error::StartError;
use super::inherited::Sockets;
use super::run::{Running, start};
use super::seed::{People, seed};
use crate::config::{AccessLogTo, Config, OAuth2Client, Origin};
use crate::domain::Format;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What may be chosen.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// Where the gateway listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where operators look.
    pub admin_listen: SocketAddr,
    /// A service to stand in front of, instead of the demo API.
    pub upstream: Option<Origin>,
    /// A Cedar schema for that service; a permissive one is generated otherwise.
    pub schema: Option<PathBuf>,
    /// Data folder.
    pub data: PathBuf,
    /// A self-signed certificate, TLS and HTTP/2.
    pub tls: bool,
    /// Standard error gets access lines too.
    pub format: Format,
}

/// Where everything is.
pub struct DevReady {
    pub(super) gateway: String,
    pub(super) admin: String,
    pub(super) upstream: String,
    pub(super) policies: PathBuf,
    pub(super) schemas: PathBuf,
    pub(super) data: PathBuf,
    pub(super) environment_file: PathBuf,
    pub(super) people: People,
    pub(super) demo: bool,
}

/// Starts everything, says so through `ready`, and runs until a signal.
///
/// # Errors
/// [`StartError`].
pub async fn dev(options: DevOptions, ready: impl FnOnce(&DevReady)) -> Result<(), StartError> {
    let (running, told, demo) = dev_start(options).await?;
    ready(&told);
    super::serve::until_stopped(running).await;
    demo.cancel();
    Ok(())
}

/// Starts everything; the caller stops it.
async fn dev_start(options: DevOptions) -> Result<(Running, DevReady, CancellationToken), StartError> {
    let data = absolute(&options.data)?;
    let demo_stop = CancellationToken::new();
    let demo_listener = match &options.upstream {
        Some(_) => None,
        None => Some(bind_loopback().await?),
    };
    let upstream = match (&options.upstream, &demo_listener) {
        (Some(origin), _) => origin.clone(),
        (None, Some((_, address))) => origin(&format!("http://{address}"))?,
        (None, None) => return Err(StartError::Usage("no upstream".to_owned())),
    };
    let (policies, schemas) = (data.join("policies"), data.join("schemas"));
    bundled::lay_out(&policies, &schemas, options.upstream.as_ref(), options.schema.as_deref())?;

    // The port is known before the gateway binds it: tokens carry its URL as issuer.
    let held = (options.listen.port() == 0).then(|| hold_port(options.listen)).transpose()?;
    let listen = held.as_ref().map_or(options.listen, |(_, address)| *address);
    let scheme = if options.tls { "https" } else { "http" };
    let gateway = format!("{scheme}://{listen}");

    let mut config = Config::defaults(&data);
    config.server.listen = listen;
    config.server.admin_listen = options.admin_listen;
    config.server.public_url = origin(&gateway)?;
    config.server.hosts =
        ["localhost", "127.0.0.1", "[::1]"].map(|h| format!("{h}:{}", listen.port())).to_vec();
    config.server.tls = options.tls.then(|| bundled::self_signed(&data)).transpose()?;
    config.upstream.url = upstream.clone();
    config.data.dir.clone_from(&data);
    config.data.master_key_file = data.join("master.key");
    config.policy.policies.clone_from(&policies);
    config.policy.schemas.clone_from(&schemas);
    config.oauth2.clients.push(cli_client());
    config.log.access = AccessLogTo::File(data.join("access.log"));
    // For tests: the same story on PostgreSQL.
    if let Ok(url) = std::env::var("DRAWBRIDGE_TEST_DATABASE_URL") {
        config.database.url = Some(url.parse().map_err(|e| StartError::Usage(format!("{e}")))?);
    }

    let parts = compose(config).await?;
    let people = seed(&parts.access).await?;
    if let Some((listener, _)) = demo_listener {
        let (orgs, stop) = (people.orgs(), demo_stop.clone());
        tokio::spawn(async move {
            if let Err(error) = crate::demo::serve(listener, orgs, stop).await {
                tracing::error!(%error, "the demo API has stopped");
            }
        });
    }
    let running = start(parts, if held.is_some() { Sockets::OnHeldPort } else { Sockets::Own }).await?;
    drop(held);
    let ready = DevReady {
        gateway,
        admin: format!("http://{}", running.admin),
        upstream: upstream.to_string(),
        environment_file: data.join("dev.env"),
        policies,
        schemas,
        data,
        people,
        demo: options.upstream.is_none(),
    };
    bundled::write_private(&ready.environment_file, &ready.environment())?;
    Ok((running, ready, demo_stop))
}

/// What `drawbridge login` and other programs on this machine sign in with.
fn cli_client() -> OAuth2Client {
    OAuth2Client {
        id: "drawbridge-cli".to_owned(),
        redirect_uris: vec!["http://127.0.0.1/callback".to_owned()],
        secret_file: None,
    }
}

async fn bind_loopback() -> Result<(TcpListener, SocketAddr), StartError> {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let failed = |source| StartError::Listen { address: any, source };
    let listener = TcpListener::bind(any).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// A socket that holds a port without listening, so that the workers' listeners can share it.
fn hold_port(address: SocketAddr) -> Result<(socket2::Socket, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, source };
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)
        .map_err(failed)?;
    socket.set_reuse_address(true).map_err(failed)?;
    socket.set_reuse_port(true).map_err(failed)?;
    socket.bind(&address.into()).map_err(failed)?;
    let bound = socket.local_addr().map_err(failed)?.as_socket().unwrap_or(address);
    Ok((socket, bound))
}

fn origin(text: &str) -> Result<Origin, StartError> {
    text.parse().map_err(|e| StartError::Usage(format!("`{text}` is no origin: {e}")))
}

fn absolute(path: &Path) -> Result<PathBuf, StartError> {
    std::path::absolute(path).map_err(|source| StartError::File { path: path.to_owned(), source })
}
