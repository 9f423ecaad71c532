//! Where permitted requests go: the peers, built once and cloned a request.

use super::settings::{GateSettings, UpstreamSettings};
use arc_swap::ArcSwapOption;
use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often a name is looked up again.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(30);

/// Connections of impersonations are a pool of their own: they are reset when they end, so that what the
/// kernel still holds of a cut upload never reaches the upstream.
const IMPERSONATION_POOL: u64 = 1;

/// The upstream, as far as its address is known.
#[derive(Debug)]
pub(super) struct Upstream {
    settings: UpstreamSettings,
    peers: ArcSwapOption<Peers>,
    template: Template,
}

#[derive(Debug)]
struct Template {
    connect: Duration,
    read: Duration,
    stream_idle: Duration,
    write: Duration,
    idle: Duration,
}

/// The peers of one address.
#[derive(Debug)]
struct Peers {
    plain: HttpPeer,
    streaming: HttpPeer,
    impersonated: HttpPeer,
    impersonated_streaming: HttpPeer,
}

impl Upstream {
    /// From the settings. An address is known at once; a name must be looked up first.
    #[must_use]
    pub(super) fn new(settings: &GateSettings) -> Self {
        let t = &settings.timeouts;
        let upstream = Self {
            settings: settings.upstream.clone(),
            peers: ArcSwapOption::empty(),
            template: Template {
                connect: t.connect,
                read: t.read,
                stream_idle: t.stream_idle,
                write: t.write,
                idle: t.idle,
            },
        };
        if let Some(address) = upstream.literal() {
            upstream.set(address);
        }
        upstream
    }

    /// Looks the name up now and every half minute, on `runtime`, as long as the upstream is in use. While
    /// a name has no address, requests get `502 UPSTREAM_UNREACHABLE`.
    pub(super) fn keep_looking_up(self: &Arc<Self>, runtime: &tokio::runtime::Handle) {
        if self.literal().is_some() {
            return;
        }
        let (name, port) = (self.settings.host.clone(), self.settings.port);
        let upstream: Weak<Self> = Arc::downgrade(self);
        runtime.spawn(async move {
            loop {
                let found = tokio::net::lookup_host((name.as_str(), port)).await;
                let Some(upstream) = upstream.upgrade() else { return };
                let found = match found {
                    Ok(mut addresses) => addresses.next(),
                    Err(e) => {
                        tracing::warn!(upstream = %name, error = %e, "the upstream's name has no address");
                        None
                    }
                };
                let known = found.is_some() || upstream.peers.load().is_some();
                if let Some(address) = found {
                    upstream.set(address);
                }
                drop(upstream);
                tokio::time::sleep(if known { LOOK_UP_AGAIN } else { Duration::from_secs(1) }).await;
            }
        });
    }

    /// A peer for one try: `streaming` ones may rest long.
    #[must_use]
    pub(super) fn peer(&self, impersonated: bool, streaming: bool) -> Option<Box<HttpPeer>> {
        let peers = self.peers.load();
        let peers = peers.as_ref()?;
        Some(Box::new(
            match (impersonated, streaming) {
                (false, false) => &peers.plain,
                (false, true) => &peers.streaming,
                (true, false) => &peers.impersonated,
                (true, true) => &peers.impersonated_streaming,
            }
            .clone(),
        ))
    }

    fn literal(&self) -> Option<SocketAddr> {
        let host = self.settings.host.trim_start_matches('[').trim_end_matches(']');
        host.parse().ok().map(|ip| SocketAddr::new(ip, self.settings.port))
    }

    fn set(&self, address: SocketAddr) {
        self.peers.store(Some(Arc::new(Peers {
            plain: self.build(address, false, false),
            streaming: self.build(address, false, true),
            impersonated: self.build(address, true, false),
            impersonated_streaming: self.build(address, true, true),
        })));
    }

    fn build(&self, address: SocketAddr, impersonated: bool, streaming: bool) -> HttpPeer {
        let sni = self.settings.sni.clone().unwrap_or_else(|| self.settings.host.clone());
        let mut peer = HttpPeer::new(address, self.settings.tls, sni);
        let (options, t) = (&mut peer.options, &self.template);
        options.connection_timeout = Some(t.connect);
        options.total_connection_timeout = Some(t.connect);
        options.read_timeout = Some(if streaming { t.stream_idle } else { t.read });
        options.write_timeout = Some(t.write);
        options.idle_timeout = Some(t.idle);
        options.max_h2_streams = self.settings.max_h2_streams;
        options.h2_ping_interval = Some(Duration::from_secs(30));
        if self.settings.tls && self.settings.http2 {
            options.alpn = ALPN::H2H1;
        }
        if impersonated {
            peer.group_key = IMPERSONATION_POOL;
            peer.options.upstream_tcp_sock_tweak_hook = Some(Arc::new(|socket| {
                let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
                Ok(())
            }));
        }
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::GateSettings;
    use super::Upstream;

    #[test]
    fn an_address_needs_no_look_up_and_every_wait_has_an_end() {
        let upstream = Upstream::new(&GateSettings::default());
        for (impersonated, streaming) in [(false, false), (false, true), (true, false), (true, true)] {
            let peer = upstream.peer(impersonated, streaming).unwrap();
            let o = &peer.options;
            assert!(o.connection_timeout.is_some() && o.total_connection_timeout.is_some());
            assert!(o.read_timeout.is_some() && o.write_timeout.is_some() && o.idle_timeout.is_some());
            assert!(o.max_h2_streams > 1);
            assert_eq!(peer.group_key == 0, !impersonated);
            assert_eq!(o.upstream_tcp_sock_tweak_hook.is_some(), impersonated);
        }
        let mut named = GateSettings::default();
        named.upstream.host = "api.internal".into();
        assert!(Upstream::new(&named).peer(false, false).is_none());
    }
}
