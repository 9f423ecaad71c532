//! A gateway that listens, until it is told to stop.

use super::admin::{self, AdminState};
use super::compose::Composition;
use super::error::StartError;
use super::inherited::Sockets;
use super::{reload, settings};
use crate::access::Following;
use crate::audit::delivery::Deliveries;
use crate::control::{ControlState, router};
use crate::gateway::{Gate, Parts, Running as Gateway, serve};
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
    following: Option<Following>,
    deliveries: Deliveries,
    _watcher: Option<crate::policy::Watcher>,
}

/// Listens, and starts everything that runs beside requests.
///
/// # Errors
/// [`StartError`] when a port can't be bound or a certificate not be read.
pub async fn start(parts: Composition, sockets: Sockets) -> Result<Running, StartError> {
    let parts = Arc::new(parts);
    let background = CancellationToken::new();
    let draining = Arc::new(AtomicBool::new(false));
    let server = &parts.config.server;

    let deliveries = Deliveries::start(
        &parts.reader,
        &parts.config.audit.delivery,
        &parts.metrics.delivery(),
        &parts.name,
    )?;
    let mut listen = settings::listen(server);
    let mut inherited_admin = None;
    match sockets {
        Sockets::Own => {}
        Sockets::OnHeldPort => listen.share_ports = true,
        Sockets::Inherited { gateway, admin } => {
            if let Some(first) = listen.listeners.first_mut() {
                first.inherited = Some(gateway);
            }
            inherited_admin = admin;
        }
    }
    let admin_failed = |source| StartError::Listen { address: server.admin_listen, source };
    let admin_listener = match inherited_admin {
        None => TcpListener::bind(server.admin_listen).await.map_err(admin_failed)?,
        Some(socket) => {
            socket.set_nonblocking(true).map_err(admin_failed)?;
            TcpListener::from_std(socket).map_err(admin_failed)?
        }
    };
    let admin = admin_listener.local_addr().map_err(admin_failed)?;

    // Before anything is served: records that were put back are noticed here, and end all staff access.
    let following =
        parts.access.follow().map_err(|e| StartError::Gate(format!("the lease can't be kept: {e}")))?;
    parts.access.until_fresh().await;
    let own = router(ControlState {
        access: parts.access.clone(),
        audit: parts.reader.clone(),
        site: settings::site(&parts.config),
        keys: parts.keys.clone(),
    });
    let gate = Parts {
        access: parts.access.clone(),
        policy: parts.policy.clone(),
        audit: parts.audit.clone(),
        assertions: parts.assertions.clone(),
        metrics: parts.metrics.clone(),
        access_log: parts.access_log.clone(),
        clock: parts.clock.clone(),
        own_routes: own,
        control: tokio::runtime::Handle::current(),
    };
    let gate = Gate::new(&settings::gate(&parts.config), gate);
    let gateway = serve(listen, &gate)?;

    let watcher = watch(&parts, &background)?;
    let expiry = parts.access.clone().watch();
    let ended = background.clone();
    tokio::spawn(async move {
        tokio::select! { () = expiry => {}, () = ended.cancelled() => {} }
    });
    let (keys, ended) = (parts.access.clone().follow_keys(), background.clone());
    tokio::spawn(async move {
        tokio::select! { () = keys => {}, () = ended.cancelled() => {} }
    });
    let state = AdminState {
        access: parts.access.clone(),
        policy: parts.policy.clone(),
        audit: parts.audit.clone(),
        reader: parts.reader.clone(),
        live: parts.live.clone(),
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
    let address = gateway.addresses().first().copied().unwrap_or(server.listen);
    Ok(Running {
        address,
        admin,
        parts,
        gateway,
        draining,
        background,
        following,
        deliveries,
        _watcher: watcher,
    })
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

    /// Soft, then hard: not ready, and for a while nothing else; no new connections, lame duck, what runs may end,
    /// then it is cut;
    /// outcomes are written, and the data folder is let go.
    pub async fn stop(self) {
        self.draining.store(true, Ordering::Relaxed);
        tokio::time::sleep(self.parts.config.server.unready).await;
        self.gateway.shutdown().await;
        self.background.cancel();
        self.deliveries.stop().await;
        self.parts.audit.drain().await;
        let keeper = self.parts.keeper.lock().take();
        if let Some(keeper) = keeper {
            keeper.stop().await;
        }
        // What was written last is signed too.
        let sequencer = self.parts.sequencer.lock().take();
        if let Some(sequencer) = sequencer {
            sequencer.stop().await;
        }
        if let Some(following) = self.following {
            following.leave().await;
        }
        self.parts.access_log.close();
    }
}
