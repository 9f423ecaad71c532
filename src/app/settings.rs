//! From the configuration to what the data plane is told.

use super::error::StartError;
use crate::access::federation::{FederatedProvider, Federation};
use crate::access::{ClientAuthentication, OAuthClient, OAuthSettings};
use crate::config::{Config, OAuth2, Scheme, Server, UpstreamHost};
use crate::console::{Cookie, Site};
use crate::domain::{Millis, Secret};
use crate::gateway::settings::{
    HostHeader, Limits, SessionCookies, StripCredentials, Timeouts, UpstreamSettings,
};
use crate::gateway::{GateSettings, ListenSettings, Listener, TlsFiles};
use crate::identity::Sealer;
use crate::identity::oidc::{Provider, ProviderSettings};

/// What pages depend on.
pub(super) fn site(config: &Config) -> Site {
    Site { https: config.server.public_url.scheme == Scheme::Https }
}

/// The authorization server, with the secrets of its clients read.
pub(super) fn oauth(oauth2: &OAuth2) -> Result<OAuthSettings, StartError> {
    let clients = oauth2.clients.iter().map(|client| {
        let authentication = match &client.secret_file {
            None => ClientAuthentication::Public,
            Some(path) => {
                let secret = std::fs::read_to_string(path)
                    .map_err(|source| StartError::File { path: path.clone(), source })?;
                ClientAuthentication::secret(secret.trim())
            }
        };
        let (id, redirect_uris) = (client.id.clone(), client.redirect_uris.clone());
        Ok(OAuthClient { id, redirect_uris, authentication })
    });
    Ok(OAuthSettings {
        access_token_ttl: Millis::try_from(oauth2.access_token_ttl.as_millis()).unwrap_or(Millis::MAX),
        clients: clients.collect::<Result<_, StartError>>()?,
    })
}

/// The providers that the customers' people sign in with, with their secrets read. None is asked yet.
pub(super) fn federation(config: &Config, sealer: &Sealer) -> Result<Federation, StartError> {
    let redirect_uri = format!("{}/auth/oidc/callback", config.server.public_url);
    let providers = config.oidc.providers.iter().map(|configured| {
        let client_secret = match &configured.client_secret_file {
            None => None,
            Some(path) => {
                let secret = std::fs::read_to_string(path)
                    .map_err(|source| StartError::File { path: path.clone(), source })?;
                Some(Secret::new(secret.trim()))
            }
        };
        let settings = ProviderSettings {
            issuer: configured.issuer.clone(),
            client_id: configured.client_id.clone(),
            client_secret,
            redirect_uri: redirect_uri.clone(),
        };
        Ok(FederatedProvider {
            id: configured.id.clone(),
            name: configured.name.clone(),
            listed: configured.listed,
            provider: Provider::new(settings)
                .map_err(|e| StartError::Usage(format!("[oidc]: no TLS: {e}")))?,
            orgs: configured.orgs.clone(),
            admin_emails: configured.admin_emails.clone(),
            session_ends_with_provider: configured.session_ends_with_provider,
        })
    });
    let providers = providers.collect::<Result<_, StartError>>()?;
    let session = Millis::try_from(config.oidc.session.as_millis()).unwrap_or(Millis::MAX);
    Ok(Federation::new(session, providers, sealer)?)
}

/// Settings of the gate.
pub(super) fn gate(config: &Config) -> GateSettings {
    let (server, upstream) = (&config.server, &config.upstream);
    let mut public_hosts = server.hosts.clone();
    public_hosts.push(server.public_url.authority());
    public_hosts.extend(server.platform_host.clone());
    let scheme = server.public_url.scheme.as_str();
    let site = site(config);
    GateSettings {
        public_origins: public_hosts.iter().map(|host| format!("{scheme}://{host}")).collect(),
        public_hosts,
        platform_host: server.platform_host.clone(),
        session_cookies: Some(SessionCookies {
            staff: Cookie::Staff.name(site.https),
            people: Cookie::Person.name(site.https),
        }),
        own_cookies: Cookie::names(),
        site,
        websocket_origins: config.credentials.websocket_origins.iter().map(ToString::to_string).collect(),
        upstream: UpstreamSettings {
            host: upstream.url.host.clone(),
            port: upstream.url.port,
            tls: upstream.url.scheme == Scheme::Https,
            host_header: match &upstream.host {
                UpstreamHost::Preserve => HostHeader::Preserve,
                UpstreamHost::Value(host) => HostHeader::Set(host.clone()),
            },
            ..UpstreamSettings::default()
        },
        token_headers: config.credentials.token_headers.clone(),
        trusted_proxies: server.trusted_proxies.clone(),
        strip: StripCredentials {
            authorization: upstream.strip_authorization,
            ..StripCredentials::default()
        },
        limits: Limits {
            header_bytes: config.limits.header_bytes,
            header_count: config.limits.header_count,
            body_bytes: config.limits.body_bytes,
            control_body_bytes: config.limits.control_body_bytes,
            open_requests: config.limits.open_requests,
            open_requests_per_session: config.limits.open_requests_per_session,
        },
        timeouts: Timeouts {
            connect: upstream.connect_timeout,
            read: upstream.read_timeout,
            write: upstream.write_timeout,
            idle: upstream.idle_timeout,
            ..Timeouts::default()
        },
        ..GateSettings::default()
    }
}

/// Settings of the listener.
pub(super) fn listen(server: &Server) -> ListenSettings {
    let tls = server.tls.as_ref().map(|tls| TlsFiles {
        certificate: tls.cert.clone(),
        key: tls.key.clone(),
        http2: true,
    });
    let machine = std::thread::available_parallelism();
    ListenSettings {
        listeners: vec![Listener { address: server.listen, inherited: None, tls }],
        workers: server.workers.or(machine.ok()).map_or(1, std::num::NonZeroUsize::get),
        lame_duck: server.lame_duck,
        drain: server.drain,
        ..ListenSettings::default()
    }
}
