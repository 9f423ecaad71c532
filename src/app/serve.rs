//! `drawbridge serve`: one configured gateway, until a signal.

use super::error::StartError;
use super::inherited::Sockets;
use super::run::{Running, start};
use super::{Composition, compose, setup};
use crate::config::Config;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Runs a configured gateway until `SIGINT` or `SIGTERM`; a second one stops it at once. `SIGHUP` reloads.
/// Sockets that it is started with (`LISTEN_FDS`) take the place of the configured addresses.
///
/// # Errors
/// [`StartError`], before a port is bound or when one can't be.
pub async fn serve(config: Config) -> Result<(), StartError> {
    let sockets = Sockets::from_environment()?;
    let parts: Composition = compose(config).await?;
    setup::prepare(&parts).await?;
    let running = start(parts, sockets).await?;
    tracing::info!(gateway = %running.address, admin = %running.admin, "the gateway is ready");
    until_stopped(running).await;
    Ok(())
}

/// Follows signals.
pub(super) async fn until_stopped(running: Running) {
    let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        tracing::error!("signals can't be followed; stopping");
        return running.stop().await;
    };
    loop {
        tokio::select! {
            () = received(&mut interrupt) => break,
            () = received(&mut terminate) => break,
            () = received(&mut hangup) => running.reload().await,
        }
    }
    tracing::info!("stopping: requests under way may end; once more to stop at once");
    tokio::select! {
        () = running.stop() => {}
        () = received(&mut interrupt) => tracing::warn!("stopped at once"),
        () = received(&mut terminate) => tracing::warn!("stopped at once"),
    }
}

async fn received(signal: &mut Signal) {
    if signal.recv().await.is_none() {
        std::future::pending::<()>().await;
    }
}
