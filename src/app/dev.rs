//! `drawbridge dev`: everything embedded, two orgs, seeded people, a demo API behind the gate unless a
//! service is named. For trying out and for tests; `serve` is the same gateway on a configuration of yours.

use super::bundled;
use super::compose::{Composition, compose};
use super::error::StartError;
use super::run::{Running, start};
use crate::access::{Issued, NewOrg, NewPerson};
use crate::config::{AccessLogTo, Config, Origin};
use crate::demo::DemoOrgs;
use crate::domain::ids::OrgId;
use crate::domain::{Format, Millis, OrgRole, Secret};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// E-mail of the first platform admin.
pub(super) const STAFF: &str = "staff@drawbridge.example";
/// E-mail of the second.
pub(super) const STAFF2: &str = "staff2@drawbridge.example";
/// How long the printed credentials count.
const TOKEN_TTL: Millis = 12 * 3_600_000;

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

/// Tokens of the seeded people.
pub(super) struct DevTokens {
    pub(super) staff: Secret,
    pub(super) staff2: Secret,
    pub(super) owner: Secret,
    pub(super) admin: Secret,
    pub(super) viewer: Secret,
    pub(super) globex_owner: Secret,
    pub(super) bot: Secret,
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
    pub(super) acme: OrgId,
    pub(super) globex: OrgId,
    pub(super) tokens: DevTokens,
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
    bundled::write(&policies, &schemas, options.upstream.as_ref(), options.schema.as_deref())?;

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
    config.log.access = AccessLogTo::File(data.join("access.log"));
    // For tests: the same story on PostgreSQL.
    if let Ok(url) = std::env::var("DRAWBRIDGE_TEST_DATABASE_URL") {
        config.database.url = Some(url.parse().map_err(|e| StartError::Usage(format!("{e}")))?);
    }

    let parts = compose(config).await?;
    let (acme, globex, tokens) = seed(&parts).await?;
    if let Some((listener, _)) = demo_listener {
        let (orgs, stop) = (DemoOrgs { acme: acme.clone(), globex: globex.clone() }, demo_stop.clone());
        tokio::spawn(async move {
            if let Err(error) = crate::demo::serve(listener, orgs, stop).await {
                tracing::error!(%error, "the demo API has stopped");
            }
        });
    }
    let running = start(parts, held.is_some()).await?;
    drop(held);
    let ready = DevReady {
        gateway,
        admin: format!("http://{}", running.admin),
        upstream: upstream.to_string(),
        environment_file: data.join("dev.env"),
        policies,
        schemas,
        data,
        acme,
        globex,
        tokens,
        demo: options.upstream.is_none(),
    };
    bundled::write_private(&ready.environment_file, &ready.environment())?;
    Ok((running, ready, demo_stop))
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

fn person(email: &str, name: &str) -> NewPerson {
    NewPerson { email: email.to_owned(), display_name: name.to_owned() }
}

fn org(slug: &str, name: &str, allow: bool) -> NewOrg {
    NewOrg {
        slug: slug.to_owned(),
        name: name.to_owned(),
        plan: "business".to_owned(),
        owner_email: format!("owner@{slug}.example"),
        allow_platform_impersonation: allow,
    }
}

/// Two orgs and their people, made once; credentials, made at every start.
async fn seed(parts: &Composition) -> Result<(OrgId, OrgId, DevTokens), StartError> {
    let access = &parts.access;
    let acme = access.provision_org(org("acme", "Acme Corporation", true)).await?;
    let globex = access.provision_org(org("globex", "Globex", false)).await?;
    let admin_roles = vec![crate::access::ADMIN_ROLE.to_owned(), "sre".to_owned()];
    access.provision_platform_user(person(STAFF, "First Staff"), admin_roles.clone()).await?;
    access.provision_platform_user(person(STAFF2, "Second Staff"), admin_roles).await?;
    for (email, name, org, role) in [
        ("owner@acme.example", "Acme Owner", &acme, OrgRole::Owner),
        ("admin@acme.example", "Acme Admin", &acme, OrgRole::Admin),
        ("viewer@acme.example", "Acme Viewer", &acme, OrgRole::Viewer),
        ("owner@globex.example", "Globex Owner", &globex, OrgRole::Owner),
    ] {
        access.provision_org_user(person(email, name), org.clone(), role).await?;
    }
    let bot = access.provision_bot("recorder", acme.clone(), OrgRole::Operator).await?;
    let token = |issued: Issued| issued.token;
    let tokens = DevTokens {
        staff: access.issue_platform_token(STAFF, TOKEN_TTL).await.map(token)?,
        staff2: access.issue_platform_token(STAFF2, TOKEN_TTL).await.map(token)?,
        owner: access.issue_org_token("owner@acme.example", TOKEN_TTL).await.map(token)?,
        admin: access.issue_org_token("admin@acme.example", TOKEN_TTL).await.map(token)?,
        viewer: access.issue_org_token("viewer@acme.example", TOKEN_TTL).await.map(token)?,
        globex_owner: access.issue_org_token("owner@globex.example", TOKEN_TTL).await.map(token)?,
        bot: access.issue_bot_token(&bot, "dev", TOKEN_TTL).await.map(token)?,
    };
    Ok((acme, globex, tokens))
}
