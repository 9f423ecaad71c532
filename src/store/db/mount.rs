//! A small file system of a test's own, to fill and to take away.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted tmpfs, unmounted when dropped.
pub(crate) struct Mount {
    folder: tempfile::TempDir,
}

impl Mount {
    /// Mounts `megabytes`; `None`, said aloud, where there is no right to mount.
    #[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
    pub(crate) fn new(megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder.path()).status();
        if !mounted.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: no right to mount a file system here");
            return None;
        }
        Some(Self { folder })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A data folder on it.
    pub(crate) fn data(&self) -> PathBuf {
        self.path().join("data")
    }

    /// Fills it with somebody else's file, but for `left` bytes.
    pub(crate) fn fill(&self, left: u64) {
        let fs = rustix::fs::statvfs(self.path()).unwrap();
        let size = (fs.f_bavail * fs.f_frsize).saturating_sub(left);
        std::fs::write(self.path().join("other"), vec![0_u8; usize::try_from(size).unwrap()]).unwrap();
    }

    /// Makes it read-only under whoever uses it. tmpfs refuses while files are open for writing, so a bind mount is
    /// laid over it; only what is opened later meets it.
    pub(crate) fn make_read_only(&self) {
        let run = |args: &[&str]| {
            let done = Command::new("mount").args(args).arg(self.path()).status().unwrap();
            assert!(done.success(), "mount {args:?}");
        };
        run(&["--bind", &self.path().display().to_string()]);
        run(&["-o", "remount,bind,ro"]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for _ in 0..2 {
            let _ = Command::new("umount")
                .arg("-l")
                .arg(self.folder.path())
                .stderr(std::process::Stdio::null())
                .status();
        }
    }
}
