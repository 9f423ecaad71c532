//! The logs sent on, entry by entry: to webhooks, to syslog, to standard output (`[[audit.delivery]]`).
//!
//! Each receiver gets each of its logs in the order of the tree, and every entry at least once: how far it has come
//! is kept in the records (`place`) and moves only after it has taken what was sent. What fails is sent again for
//! ever, with growing pauses. Among several gateways one delivers to a receiver at a time, by a lease in the
//! records; no transaction is open while anything is sent.
//!
//! A task each (`task`); what is sent (`audit::message`) and how (`send`, `webhook`, `syslog`).

mod pause;
mod place;
mod send;
mod syslog;
mod task;
mod webhook;

use super::reader::AuditReader;
use crate::config::{DeliverTo, Delivery};
use crate::telemetry::DeliveryMetrics;
use place::Places;
use send::Way;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use task::Task;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use webhook::Webhook;
pub use webhook::WebhookError;

/// How long things take.
#[derive(Debug, Clone, Copy)]
struct Timing {
    /// The lease on a receiver. Half of it is longer than a try.
    lease: Duration,
    /// Between two looks whether the lease of another gateway has run out.
    takeover: Duration,
    /// Between two looks for more, at most.
    look: Duration,
    /// For a try.
    answer: Duration,
    /// For a try that is under way when the gateway stops.
    grace: Duration,
    /// Before the second try.
    first_pause: Duration,
    /// Between two tries, at most.
    longest_pause: Duration,
}

const TIMING: Timing = Timing {
    lease: Duration::from_secs(30),
    takeover: Duration::from_secs(3),
    look: Duration::from_secs(1),
    answer: Duration::from_secs(10),
    grace: Duration::from_secs(2),
    first_pause: Duration::from_secs(1),
    longest_pause: Duration::from_secs(300),
};

/// What is delivered while a gateway runs.
pub struct Deliveries {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// A receiver that can't be delivered to.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The file of its secrets.
    #[error("`secret_file` in [[audit.delivery]] `{sink}`: `{}` can't be read: {source}", path.display())]
    File {
        /// The receiver.
        sink: String,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What it holds, or the client.
    #[error("[[audit.delivery]] `{sink}`: {source}")]
    Webhook {
        /// The receiver.
        sink: String,
        /// Why.
        source: WebhookError,
    },
}

impl Deliveries {
    /// Begins to deliver what `settings` say. `holder` is this gateway's name among those that share the records.
    ///
    /// # Errors
    /// [`DeliveryError`], before anything is sent.
    pub fn start(
        reader: &AuditReader,
        settings: &[Delivery],
        metrics: &DeliveryMetrics,
        holder: &str,
    ) -> Result<Self, DeliveryError> {
        Self::start_timed(reader, settings, metrics, holder, TIMING)
    }

    fn start_timed(
        reader: &AuditReader,
        settings: &[Delivery],
        metrics: &DeliveryMetrics,
        holder: &str,
        timing: Timing,
    ) -> Result<Self, DeliveryError> {
        let ways = settings.iter().map(|delivery| way(delivery, timing)).collect::<Result<Vec<_>, _>>()?;
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for (delivery, way) in settings.iter().zip(ways) {
            metrics.sink(&delivery.name);
            let places =
                Places { db: reader.db().clone(), sink: delivery.name.clone(), holder: holder.to_owned() };
            let task = Task {
                reader: reader.clone(),
                places,
                logs: delivery.logs.clone(),
                shape: delivery.shape,
                way,
                metrics: metrics.clone(),
                timing,
                stop: stop.clone(),
                held: None,
                behind: HashMap::new(),
            };
            tasks.spawn(task.run());
        }
        Ok(Self { tasks, stop })
    }

    /// Stops. What is being sent may end; what doesn't soon is sent again by whoever delivers next.
    pub async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn way(delivery: &Delivery, timing: Timing) -> Result<Way, DeliveryError> {
    match &delivery.to {
        DeliverTo::Webhook { url, secret_file } => {
            let sink = || delivery.name.clone();
            let secrets = std::fs::read_to_string(secret_file).map_err(|source| DeliveryError::File {
                sink: sink(),
                path: secret_file.clone(),
                source,
            })?;
            let webhook = Webhook::new(url, &secrets, timing.answer)
                .map_err(|source| DeliveryError::Webhook { sink: sink(), source })?;
            Ok(Way::Webhook(Box::new(webhook)))
        }
        DeliverTo::Syslog(address) => Ok(Way::Syslog(syslog::Syslog::new(address.clone()))),
        DeliverTo::Stdout => Ok(Way::Stdout),
    }
}

#[cfg(test)]
mod tests;
