//! New policy files while traffic flows: put in force whole or refused whole, and written down either way.

use super::compose::Composition;
use crate::policy::{PolicyEngine, ReloadEvent};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Records what became of an edit: process log, metrics, platform log.
pub(super) async fn report(parts: &Composition, event: ReloadEvent) {
    match &event {
        ReloadEvent::Reloaded(hash) => {
            tracing::info!(policy_hash = %hash, "a new policy set is in force");
            parts.metrics.policy_reload(true);
            parts.metrics.policy_hash(hash);
        }
        ReloadEvent::Rejected(report) => {
            tracing::error!(
                faults = report.faults.join("; "),
                "the edited policy set is refused; the old one stays in force"
            );
            parts.metrics.policy_reload(false);
        }
    }
    let (hash, faults) = match &event {
        ReloadEvent::Reloaded(hash) => (Some(hash.clone()), None),
        ReloadEvent::Rejected(report) => (None, Some(report.faults.as_slice())),
    };
    if let Err(error) = parts.access.record_policy_reload(hash, faults).await {
        tracing::error!(error = &error as &dyn std::error::Error, "a policy reload can't be recorded");
    }
}

/// Reads the folders again (on `SIGHUP`).
pub(super) async fn now(parts: &Arc<Composition>) {
    let policy = parts.policy.clone();
    let outcome = tokio::task::spawn_blocking(move || reload(&policy)).await;
    if let Ok(Some(event)) = outcome {
        report(parts, event).await;
    }
}

fn reload(policy: &PolicyEngine) -> Option<ReloadEvent> {
    match policy.reload() {
        Ok(None) => None,
        Ok(Some(hash)) => Some(ReloadEvent::Reloaded(hash)),
        Err(report) => Some(ReloadEvent::Rejected(Arc::new(report))),
    }
}

/// Follows what the watcher tells, until it is dropped.
pub(super) async fn follow(parts: Arc<Composition>, mut events: mpsc::UnboundedReceiver<ReloadEvent>) {
    while let Some(event) = events.recv().await {
        report(&parts, event).await;
    }
}
