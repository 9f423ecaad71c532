//! A file that does nothing but take up room, so that there is some left for revocations when the disk is full.

use rustix::fs::{FallocateFlags, fallocate};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Twice the write-ahead log at its checkpoint (1,000 pages of 4 KiB): the log and the pages that it is copied to.
pub(super) const SIZE: u64 = 8 << 20;

/// The reserve of one data folder.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    /// Whether the file is there, its room taken.
    held: AtomicBool,
}

impl Reserve {
    /// Takes the room if there is that much; without it the reserve counts as spent.
    pub(super) fn open(folder: &Path) -> Self {
        let reserve = Self { path: folder.join("reserve"), held: AtomicBool::new(false) };
        if !reserve.take() {
            tracing::warn!(folder = %folder.display(), "the disk has no room for the reserve of 8 MiB");
        }
        reserve
    }

    pub(super) fn is_spent(&self) -> bool {
        !self.held.load(Ordering::SeqCst)
    }

    /// Gives the room back; false when it was given back before.
    pub(super) fn release(&self) -> bool {
        if !self.held.swap(false, Ordering::SeqCst) {
            return false;
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::error!(%error, "the reserve file can't be removed");
        }
        true
    }

    /// Takes the room again if there is twice as much, so that what was just given back to a revocation isn't
    /// taken from it; whether it is held now.
    pub(super) fn refill(&self) -> bool {
        if self.is_spent() && self.room() >= 2 * SIZE {
            return self.take();
        }
        !self.is_spent()
    }

    fn room(&self) -> u64 {
        room(self.path.parent().unwrap_or(Path::new(".")))
    }

    fn take(&self) -> bool {
        if self.is_spent() {
            match self.allocate() {
                Ok(()) => self.held.store(true, Ordering::SeqCst),
                Err(_) => {
                    let _ = std::fs::remove_file(&self.path);
                }
            }
        }
        !self.is_spent()
    }

    fn allocate(&self) -> io::Result<()> {
        let mut file =
            OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&self.path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, SIZE) {
            Ok(()) => Ok(()),
            Err(e) if e == rustix::io::Errno::OPNOTSUPP => write_out(&mut file),
            Err(e) => Err(e.into()),
        }
    }
}

/// Bytes that are free for us on the disk that holds `folder`.
pub(super) fn room(folder: &Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(0, |fs| fs.f_bavail.saturating_mul(fs.f_frsize))
}

/// For file systems that can't allocate without writing.
fn write_out(file: &mut File) -> io::Result<()> {
    let block = [0xA5_u8; 64 << 10];
    for _ in 0..SIZE / (64 << 10) {
        file.write_all(&block)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn the_room_is_really_taken_and_given_back_once() {
        let folder = tempfile::tempdir().unwrap();
        let reserve = Reserve::open(folder.path());
        let file = folder.path().join("reserve");
        assert!(!reserve.is_spent());
        assert!(std::fs::metadata(&file).unwrap().blocks() * 512 >= SIZE, "a sparse file reserves nothing");
        assert!(reserve.release());
        assert!(!reserve.release());
        assert!(!file.exists());
        assert!(reserve.is_spent());
        assert!(reserve.refill());
        assert!(file.exists());
    }
}
