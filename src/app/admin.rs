//! The admin listener: health, readiness, metrics. Never through the gate, so keep it off the public net.

use crate::access::Access;
use crate::audit::{AuditReader, AuditWriter};
use crate::domain::Millis;
use crate::policy::PolicyEngine;
use crate::store::Live;
use crate::telemetry::Metrics;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long /readyz waits for the rows of the other gateways.
const GATEWAYS: Duration = Duration::from_millis(500);

/// How far the database's clock and this machine's may differ, milliseconds.
const MAX_SKEW: Millis = 1_000;

/// What operators ask about.
#[derive(Clone)]
pub(super) struct AdminState {
    pub(super) access: Arc<Access>,
    pub(super) policy: Arc<PolicyEngine>,
    pub(super) audit: AuditWriter,
    pub(super) reader: AuditReader,
    pub(super) live: Arc<dyn Live>,
    pub(super) metrics: Metrics,
    /// Set at the beginning of a soft stop: load balancers look elsewhere.
    pub(super) draining: Arc<AtomicBool>,
}

pub(super) fn router(state: AdminState) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(state)
}

/// 200 while requests are taken; the body says what is in force and what is wrong.
async fn ready(State(state): State<AdminState>) -> Response {
    let draining = state.draining.load(Ordering::Relaxed);
    let audit = state.audit.stats();
    let rejected = state.policy.rejected();
    let fresh = state.access.is_fresh();
    let gateways = match tokio::time::timeout(GATEWAYS, state.access.gateways()).await {
        Ok(Ok(all)) => Some(all),
        Ok(Err(_)) | Err(_) => None,
    };
    // Policies judge expiry by this machine's clock, transactions by the database's.
    let skew = state.access.clock_skew();
    let ready = !draining && !audit.latched && fresh && skew.abs() <= MAX_SKEW;
    let body = json!({
        "ready": ready,
        "draining": draining,
        // False: everything but the setup itself is answered with SETUP_REQUIRED.
        "set_up": state.access.is_set_up().await,
        "policy_hash": state.policy.snapshot().hash().as_ref(),
        // A refused edit leaves the old set in force: worth an alarm, no reason to send traffic away.
        "policy_rejected": rejected.map(|report| report.faults.clone()),
        "applied_change": state.access.applied_change(),
        "view_age_ms": state.access.view_age(),
        // False: what needs a fresh view is refused (VIEW_STALE).
        "view_fresh": fresh,
        // How far the database's clock is ahead of this machine's; beyond a second: not ready.
        "clock_skew_ms": skew,
        // How far each gateway that shares the records is; empty for one alone, null when they can't be asked.
        "gateways": gateways.map(|all| all.iter().map(|g| json!({
            "boot": g.boot,
            "name": g.name,
            "policy_hash": g.policy_hash,
            "applied_change": g.applied,
        })).collect::<Vec<_>>()),
        // Customers' own requests go on while the log can't be written, so that alone sends nobody away.
        "audit": {
            "failing": state.audit.failing(),
            "latched": audit.latched,
            "queued": audit.queued,
            "open_intents": audit.open,
            // Entries that can't get their places in the trees.
            "sequencer_failing": state.reader.failing(),
            // Checkpoints that the witness doesn't cosign: were the records put back?
            "witness_failing": state.reader.unwitnessed(),
        },
        // A cache and a bell: whatever it is like, requests are taken.
        "live": state.live.health(),
    });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(body)).into_response()
}

async fn metrics(State(state): State<AdminState>) -> Response {
    match state.access.live_impersonations().await {
        Ok(live) => state.metrics.impersonations_live(usize::try_from(live).unwrap_or(0)),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "live impersonations can't be counted");
        }
    }
    state.metrics.audit_queue(state.audit.stats().queued);
    match state.reader.unsequenced().await {
        Ok((transactions, age)) => state.metrics.audit_unsequenced(transactions, age),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "what isn't in the trees can't be counted"
            );
        }
    }
    let age = u64::try_from(state.access.view_age()).unwrap_or_default();
    state.metrics.view_age(Duration::from_millis(age));
    state.metrics.policy_hash(state.policy.snapshot().hash());
    ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], state.metrics.render()).into_response()
}
