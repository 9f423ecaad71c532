//! File systems of a test's own, gone when it ends. They need root: a test that can't mount says so and is skipped.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// A mounted folder, unmounted when dropped.
pub(crate) struct Mount {
    folder: tempfile::TempDir,
    /// The file that an ext4 file system lives in.
    _image: Option<tempfile::NamedTempFile>,
}

fn run(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|e| format!("{program}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{program} {}: {said}", args.join(" "))) }
}

impl Mount {
    /// Memory that is full after `megabytes`.
    pub(crate) fn tmpfs(test: &str, megabytes: u32) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let size = format!("size={megabytes}m");
        let mounted =
            run("mount", &["-t", "tmpfs", "-o", &size, "none", &folder.path().display().to_string()]);
        Self::mounted(test, folder, None, mounted)
    }

    /// A disk that can break: see [`Mount::turn_read_only`].
    pub(crate) fn ext4(test: &str, megabytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let image = tempfile::NamedTempFile::new().expect("a file");
        image.as_file().set_len(megabytes << 20).expect("a size");
        let file = image.path().display().to_string();
        let mounted = run("mkfs.ext4", &["-q", &file])
            .and_then(|()| run("mount", &["-o", "loop", &file, &folder.path().display().to_string()]));
        Self::mounted(test, folder, Some(image), mounted)
    }

    fn mounted(
        test: &str,
        folder: tempfile::TempDir,
        image: Option<tempfile::NamedTempFile>,
        mounted: Result<(), String>,
    ) -> Option<Self> {
        match mounted {
            Ok(()) => Some(Self { folder, _image: image }),
            Err(error) => {
                // Past the capture of the test's output: what isn't tested should be seen.
                let notice = format!("\nSKIPPED: {test}: can't mount, which needs root: {error}\n");
                std::io::stderr().lock().write_all(notice.as_bytes()).expect("stderr");
                None
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What the kernel does to a disk that fails: no write succeeds from now on, on open files neither.
    pub(crate) fn turn_read_only(&self, option: &str) {
        run("mount", &["-o", option, &self.path().display().to_string()]).expect("a remount");
    }

    /// Whether writes to a file of an ext4 file system succeed, also for those who have it open.
    pub(crate) fn let_write(&self, file: &Path, allow: bool) {
        let flag = if allow { "-i" } else { "+i" };
        run("chattr", &[flag, &file.display().to_string()]).expect("chattr");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a gateway that is being killed may hold files for a moment longer.
        if let Err(error) = run("umount", &["-l", &self.path().display().to_string()]) {
            eprintln!("{error}");
        }
    }
}
