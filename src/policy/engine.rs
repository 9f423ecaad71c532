//! The set in force, and how it changes: read all, build all, then swap; a set that is wrong changes nothing.

use super::fault::LoadReport;
use super::load;
use super::snapshot::Snapshot;
use super::source::Sources;
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;

/// The folders that a policy set is read from.
#[derive(Debug, Clone)]
pub struct PolicyFolders {
    /// `*.cedar`, `*.cases.toml`.
    pub policies: PathBuf,
    /// `*.cedarschema`.
    pub schemas: PathBuf,
}

/// The snapshot in force and where it came from.
#[derive(Debug)]
pub struct PolicyEngine {
    folders: PolicyFolders,
    /// Read by every request without a lock.
    current: ArcSwap<Snapshot>,
    /// Why the newest files are not in force.
    rejected: ArcSwapOption<LoadReport>,
    /// One reload at a time; holds the hash of the files that were last refused.
    reloading: Mutex<Option<Arc<str>>>,
}

impl PolicyEngine {
    /// Loads a set, or says all that is wrong with it.
    ///
    /// # Errors
    /// [`LoadReport`] with every fault.
    pub fn load(folders: PolicyFolders) -> Result<Self, LoadReport> {
        let sources = Sources::read(&folders).map_err(LoadReport::of)?;
        let snapshot = load::snapshot(&sources)?;
        Ok(Self {
            folders,
            current: ArcSwap::from_pointee(snapshot),
            rejected: ArcSwapOption::empty(),
            reloading: Mutex::new(None),
        })
    }

    /// The set in force. Take it once a request.
    pub fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Where the files are.
    #[must_use]
    pub fn folders(&self) -> &PolicyFolders {
        &self.folders
    }

    /// Reads the folders again. `Ok(None)`: nothing changed. On an error the old set stays in force.
    ///
    /// # Errors
    /// [`LoadReport`] with every fault.
    pub fn reload(&self) -> Result<Option<Arc<str>>, LoadReport> {
        let mut refused = self.reloading.lock();
        self.reload_locked(&mut refused)
    }

    /// [`PolicyEngine::reload`], but files that were refused before and have not changed since say nothing
    /// again (`Ok(None)`): one edit makes many file events.
    pub(super) fn reload_if_news(&self) -> Result<Option<Arc<str>>, LoadReport> {
        let mut refused = self.reloading.lock();
        if refused.is_some() && Sources::read(&self.folders).ok().map(|s| s.hash()) == *refused {
            return Ok(None);
        }
        self.reload_locked(&mut refused)
    }

    fn reload_locked(&self, refused: &mut Option<Arc<str>>) -> Result<Option<Arc<str>>, LoadReport> {
        let (hash, made) = match Sources::read(&self.folders) {
            Ok(sources) => {
                let hash = sources.hash();
                if hash == *self.current.load().hash() {
                    *refused = None;
                    self.rejected.store(None);
                    return Ok(None);
                }
                (Some(hash), load::snapshot(&sources))
            }
            Err(faults) => (None, Err(LoadReport::of(faults))),
        };
        match made {
            Ok(snapshot) => {
                let hash = snapshot.hash().clone();
                self.current.store(Arc::new(snapshot));
                *refused = None;
                self.rejected.store(None);
                Ok(Some(hash))
            }
            Err(report) => {
                *refused = hash;
                self.rejected.store(Some(Arc::new(report.clone())));
                Err(report)
            }
        }
    }

    /// What was wrong with the newest files, if they were refused (for `/readyz`).
    #[must_use]
    pub fn rejected(&self) -> Option<Arc<LoadReport>> {
        self.rejected.load_full()
    }
}
