//! The records opened to look at the logs, beside a running gateway or on a copy: nothing is made, nothing changed.

use super::compose::{AUDIT_KEY, AUDIT_ORIGIN, base_of, clock_shift, named, target};
use super::error::StartError;
use crate::audit::AuditReader;
use crate::audit::tree::LogKey;
use crate::config::Config;
use crate::identity::{Sealer, known_secret};
use crate::store::{Db, DbOptions, Target};
use std::path::Path;

/// The logs of an installation.
pub struct Logs {
    /// The records.
    pub db: Db,
    /// What signs the checkpoints, where the master key is at hand.
    pub key: Option<LogKey>,
}

impl Logs {
    /// A reader of the logs; `None` without the key.
    #[must_use]
    pub fn reader(&self) -> Option<AuditReader> {
        Some(AuditReader::new(self.db.clone(), self.key.clone()?, None))
    }
}

/// Opens the records of a configured server.
///
/// # Errors
/// [`StartError`].
pub async fn open_logs(config: &Config) -> Result<Logs, StartError> {
    let (target, dir) = (target(config)?, config.data.dir.clone());
    let embedded = matches!(target, Target::Folder(_));
    if embedded && !dir.join("drawbridge.db").is_file() {
        return Err(StartError::Usage(format!("there is no `drawbridge.db` in `{}`", dir.display())));
    }
    let options =
        DbOptions { target, exclusive: false, clock_shift: clock_shift(), ..DbOptions::new(dir.clone()) };
    let db = Db::open(options).await.map_err(|source| match source {
        source if embedded => StartError::Data { path: dir, source },
        source => StartError::Store(source),
    })?;
    let file = &config.data.master_key_file;
    if !file.is_file() {
        return Ok(Logs { db, key: None });
    }
    let sealer = Sealer::open_or_create(file)?;
    let base = match &config.audit.origin {
        Some(origin) => Some(origin.clone()),
        None => known_secret(&db, &sealer, AUDIT_ORIGIN).await?.map(base_of),
    };
    let seed = known_secret(&db, &sealer, AUDIT_KEY).await?;
    let key = base.zip(seed).map(|(base, seed)| named(&base, &seed)).transpose()?;
    Ok(Logs { db, key })
}

/// Opens a data folder, as a gateway with the default settings has it.
///
/// # Errors
/// [`StartError`].
pub async fn open_logs_in(folder: &Path) -> Result<Logs, StartError> {
    let mut config = Config::defaults(folder);
    config.data.dir = folder.to_owned();
    config.data.master_key_file = folder.join("master.key");
    open_logs(&config).await
}
