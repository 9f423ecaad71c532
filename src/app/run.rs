//! A gateway that listens, until it is told to stop.

use super::admin::{self, AdminState};
use super::compose::Composition;
use super::error::StartError;
use super::reload;
use crate::control::{ControlState, router};
use crate::gateway::listen::{Gateway, ListenSettings};
use crate::gateway::{Gate, GateParts};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A running gateway.
pub struct Running {
    /// Where customers reach it.
    pub address: SocketAddr,
    /// Where operators do.
    pub admin: SocketAddr,
    parts: Arc<Composition>,
    gateway: Gateway,
    draining: Arc<AtomicBool>,
    background: CancellationToken,
    _watcher: Option<crate::policy::Watcher>,
}

/// Binds the ports and starts everything that runs beside requests.
///
/// # Errors
/// [`StartError`] when a port can't be bound or a certificate not be read.
pub async fn start(parts: Composition) -> Result<Running, StartError> {
    let parts = Arc::new(parts);
    let background = CancellationToken::new();
    let draining = Arc::new(AtomicBool::new(false));
    let server = &parts.config.server;

    let admin_listener = TcpListener::bind(server.admin_listen)
        .await
        .map_err(|source| StartError::Listen { address: server.admin_listen, source })?;
    let admin = admin_listener
        .local_addr()
        .map_err(|source| StartError::Listen { address: server.admin_listen, source })?;

    let own = router(ControlState { access: parts.access.clone(), keys: parts.keys.clone() });
    let gate = GateParts {
        settings: super::compose::gate_settings(&parts.config),
        access: parts.access.clone(),
        policy: parts.policy.clone(),
        audit: parts.audit.clone(),
        assertions: parts.assertions.clone(),
        metrics: parts.metrics.clone(),
        access_log: parts.access_log.clone(),
        clock: parts.clock.clone(),
        control: own,
        control_runtime: tokio::runtime::Handle::current(),
    };
    let gateway = Gateway::start(ListenSettings::of(server), Gate::new(gate))
        .map_err(|source| StartError::Listen { address: server.listen, source })?;

    let watcher = watch(&parts, &background)?;
    let expiry = parts.access.clone().watch_expiry();
    let ended = background.clone();
    tokio::spawn(async move {
        tokio::select! { () = expiry => {}, () = ended.cancelled() => {} }
    });
    let state = AdminState {
        access: parts.access.clone(),
        policy: parts.policy.clone(),
        audit: parts.audit.clone(),
        metrics: parts.metrics.clone(),
        draining: draining.clone(),
    };
    let ended = background.clone();
    tokio::spawn(async move {
        let served = axum::serve(admin_listener, admin::router(state))
            .with_graceful_shutdown(async move { ended.cancelled().await });
        if let Err(error) = served.await {
            tracing::error!(%error, "the admin listener has stopped");
        }
    });
    let address = gateway.address();
    Ok(Running { address, admin, parts, gateway, draining, background, _watcher: watcher })
}

fn watch(
    parts: &Arc<Composition>,
    background: &CancellationToken,
) -> Result<Option<crate::policy::Watcher>, StartError> {
    if !parts.config.policy.watch {
        return Ok(None);
    }
    let (tell, events) = tokio::sync::mpsc::unbounded_channel();
    let watcher = parts
        .policy
        .watch(move |event| drop(tell.send(event)))
        .map_err(|error| StartError::Gate(format!("the policy folder can't be watched: {error}")))?;
    let (follow, ended) = (reload::follow(parts.clone(), events), background.clone());
    tokio::spawn(async move {
        tokio::select! { () = follow => {}, () = ended.cancelled() => {} }
    });
    Ok(Some(watcher))
}

impl Running {
    /// Its parts.
    #[must_use]
    pub fn parts(&self) -> &Arc<Composition> {
        &self.parts
    }

    /// Reads policies again and opens the access log anew (`SIGHUP`).
    pub async fn reload(&self) {
        reload::now(&self.parts).await;
        self.parts.access_log.reopen();
    }

    /// Soft, then hard: not ready, lame duck, no new connections, what runs may end, then it is cut;
    /// outcomes are written, and the data folder is let go.
    pub async fn stop(self) {
        self.draining.store(true, Ordering::Relaxed);
        self.gateway.stop().await;
        self.background.cancel();
        self.parts.audit.drain().await;
        self.parts.access_log.close();
    }
}
