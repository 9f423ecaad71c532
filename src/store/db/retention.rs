//! How long the database itself keeps entries: its triggers refuse what its table `audit_retention` doesn't allow.

use super::{PostgresOptions, StoreError, Tx};
use crate::domain::Retention;
use sqlx::{ConnectOptions as _, Connection as _};

/// As the triggers want a change that is meant.
const CHANGE: &str =
    "UPDATE audit_retention SET days = $2, changed = changed + 1 WHERE log_kind = $1 AND days <> $2";

fn wanted(retention: Retention) -> [(&'static str, i64); 2] {
    [("org", retention.org_days.into()), ("platform", retention.platform_days.into())]
}

/// Writes `retention` into PostgreSQL's table, which only the owner may.
///
/// # Errors
/// [`StoreError`].
pub async fn set_retention(owner: &PostgresOptions, retention: Retention) -> Result<(), StoreError> {
    let connecting = owner.owner_options()?;
    let connected = tokio::time::timeout(owner.connect_timeout, connecting.connect()).await;
    let connected = connected.unwrap_or_else(|_| Err(StoreError::timed_out("connecting took too long")));
    let mut connection = connected.map_err(StoreError::of_connection).map_err(|e| e.at(owner))?;
    let mut tx = connection.begin().await?;
    for (kind, days) in wanted(retention) {
        sqlx::query(CHANGE).bind(kind).bind(days).execute(&mut *tx).await?;
    }
    tx.commit().await?;
    drop(connection.close().await);
    Ok(())
}

impl Tx {
    /// What the database keeps.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retention(&mut self) -> Result<Retention, StoreError> {
        let mut kept = Retention::default();
        for row in self.rows("SELECT log_kind, days FROM audit_retention", &[]).await? {
            let days = u32::try_from(row.int(1)?)
                .map_err(|_| StoreError::Corrupt("the days of the audit log's retention".to_owned()))?;
            match row.text(0)? {
                "org" => kept.org_days = days,
                _ => kept.platform_days = days,
            }
        }
        Ok(kept)
    }

    /// Lets the database keep as `retention` says. SQLite only: on PostgreSQL it is the owner's to say.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_retention(&mut self, retention: Retention) -> Result<(), StoreError> {
        for (kind, days) in wanted(retention) {
            self.execute(CHANGE, &[kind.into(), days.into()]).await?;
        }
        Ok(())
    }
}
