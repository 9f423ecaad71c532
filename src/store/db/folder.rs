//! The data folder: made for its owner only, held by one gateway.

use super::OpenError;
use rustix::fs::{FlockOperation, flock};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// The lock on a data folder, held as long as this lives. The kernel releases it with the process, however that ends.
#[derive(Debug)]
pub(super) struct FolderLock {
    _file: File,
}

/// Makes `folder` and its parents if they are missing; what is made is its owner's only.
pub(super) fn create(folder: &Path) -> Result<(), OpenError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| OpenError::of_folder(folder, e))
}

/// Takes the exclusive lock on `folder`.
pub(super) fn lock(folder: &Path) -> Result<FolderLock, OpenError> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join("drawbridge.lock"))
        .map_err(|e| OpenError::of_folder(folder, e))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(FolderLock { _file: file }),
        Err(e) if e == rustix::io::Errno::WOULDBLOCK => Err(OpenError::Locked { folder: folder.to_owned() }),
        Err(e) => Err(OpenError::of_folder(folder, e.into())),
    }
}

/// Whether a gateway holds `folder`. Makes nothing.
pub(super) fn is_locked(folder: &Path) -> std::io::Result<bool> {
    let file = match OpenOptions::new().write(true).open(folder.join("drawbridge.lock")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(false),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(error.into()),
    }
}
