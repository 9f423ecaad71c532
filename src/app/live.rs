//! The live store that the configuration asks for.

use super::error::StartError;
use crate::config;
use crate::domain::Secret;
use crate::identity::Sealer;
use crate::store::{Embedded, Live, Redis, RedisOptions};
use crate::telemetry::LiveMetrics;
use std::path::Path;
use std::sync::Arc;

/// What the key that signs values in Redis is derived under.
const LABEL: &str = "drawbridge live store 1";

/// Redis where a URL is set, else this process' memory. A Redis that can't be reached is logged and sought
/// further: without it sessions are read from the records.
pub(super) async fn open(
    config: &config::Live,
    sealer: &Sealer,
    head: u64,
    metrics: LiveMetrics,
) -> Result<Arc<dyn Live>, StartError> {
    let Some(url) = config.url.clone() else { return Ok(Arc::new(Embedded::default())) };
    let shown = url.to_string();
    let password = config.password_file.as_deref().map(read).transpose()?;
    let password = password.map(|bytes| Secret::new(String::from_utf8_lossy(&bytes).trim_end()));
    let redis = Redis::start(RedisOptions {
        url,
        password,
        ca: config.ca_file.as_deref().map(read).transpose()?,
        timeout: config.timeout,
        key_prefix: config.key_prefix.clone(),
        mac_key: sealer.derive(LABEL)?,
        reached: head,
        metrics,
    })?;
    if !redis.ready(config.timeout * 3).await {
        tracing::warn!(
            redis = shown,
            "Redis doesn't answer; sessions are read from the records until it does"
        );
    }
    Ok(Arc::new(redis))
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::File { path: path.to_owned(), source })
}
