//! What a witness remembers: the last checkpoint that it cosigned of each log, in a file that only grows.
//!
//! Each line is a cosigned note as a JSON string, so the file is evidence too: of a log that was changed later, it
//! holds what that log had signed. Who reads or writes it holds the lock beside it (`<path>.lock`), whatever process
//! that is. Once it has grown to several times what it must hold, it is written anew and renamed into place.

use super::super::tree::Checkpoint;
use super::key::{CosignerKey, WitnessKey, verify_cosignature};
use rustix::fs::{FlockOperation, flock};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// The first line.
const HEADER: &str = "drawbridge-witness/1\n";
/// Lines beyond what must be held at which the file is written anew.
const SLACK: usize = 4_096;

/// The file, as far as it has been read.
pub(super) struct Kept {
    path: PathBuf,
    key: CosignerKey,
    last: HashMap<String, Checkpoint>,
    lines: usize,
    /// Device and number of the file that was read, and up to where.
    read: (u64, u64, u64),
    /// Set when it isn't known what the disk holds: nothing more is cosigned until the next start.
    unsure: bool,
}

/// The lock on the file, held as long as this lives.
pub(super) struct Locked {
    _file: File,
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn bad(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`{}`: {what}", path.display()))
}

fn at(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// A change of names in the folder of `path`, made durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Writes `text` under a name of its own and renames it to `path`; durable when this returns.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let new = beside(path, ".new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&new, path)?;
    sync_folder(path)
}

/// Takes the lock of the file `path`, when it is this process' turn.
pub(super) fn lock(path: &Path) -> io::Result<Locked> {
    let lock = beside(path, ".lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&lock)
        .map_err(at(&lock))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|e| at(&lock)(e.into()))?;
    Ok(Locked { _file: file })
}

/// The key `<path>.key` and the state `path`; both made when neither is there.
pub(super) fn open(path: &Path) -> io::Result<(WitnessKey, Kept)> {
    let locked = lock(path)?;
    let key_path = beside(path, ".key");
    let key = match std::fs::read_to_string(&key_path) {
        Ok(text) => WitnessKey::parse_secret(&text)
            .map_err(|_| bad(&key_path, "isn't the key of a witness; put the right file back"))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => {
            let key = WitnessKey::random().map_err(|e| io::Error::other(e.to_string()))?;
            // The state first: a key without state is refused below, and this is the moment in which that is right.
            put(path, HEADER).map_err(at(path))?;
            put(&key_path, &format!("{}\n", key.secret_text())).map_err(at(&key_path))?;
            key
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_new(path) => {
            let key = WitnessKey::random().map_err(|e| io::Error::other(e.to_string()))?;
            put(&key_path, &format!("{}\n", key.secret_text())).map_err(at(&key_path))?;
            key
        }
        Err(error) => return Err(at(&key_path)(error)),
    };
    let mut kept = Kept {
        path: path.to_owned(),
        key: key.verifier().clone(),
        last: HashMap::new(),
        lines: 0,
        read: (0, 0, 0),
        unsure: false,
    };
    kept.refresh(&locked)?;
    Ok((key, kept))
}

/// The last checkpoint of each log in the state of a witness, for whoever verifies these logs: read only, and only
/// what is whole.
///
/// # Errors
/// The file can't be read, or isn't the state of a witness.
pub fn cosigned(path: &Path) -> io::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(at(path))?;
    let lines = text.strip_prefix(HEADER).ok_or_else(|| bad(path, "isn't the state of a witness"))?;
    let mut last = HashMap::new();
    for line in lines.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let damaged = || bad(path, "is damaged: put it back from where it is whole");
        let note: String = serde_json::from_str(line).map_err(|_| damaged())?;
        let checkpoint = Checkpoint::read(&note).map_err(|_| damaged())?;
        last.insert(checkpoint.origin, note);
    }
    Ok(last.into_values().collect())
}

/// Whether nothing has been cosigned with it: the first start ended before the key was made.
fn is_new(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text == HEADER)
}

impl Kept {
    /// The last checkpoint that was cosigned of the log `origin`.
    pub(super) fn last(&self, origin: &str) -> Option<&Checkpoint> {
        self.last.get(origin)
    }

    /// The logs of which one was cosigned.
    pub(super) fn origins(&self) -> impl Iterator<Item = &String> {
        self.last.keys()
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what another process has added, and cuts off a line that was never finished: it was never answered.
    pub(super) fn refresh(&mut self, _lock: &Locked) -> io::Result<()> {
        if self.unsure {
            return Err(bad(&self.path, "a write failed: what the disk holds is known at the next start"));
        }
        let gone = "the state of the witness is gone, and its key isn't: put it back; to begin anew (as another \
                    witness, with another key) take the key away too";
        let file = OpenOptions::new().read(true).write(true).open(&self.path);
        let mut file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => bad(&self.path, gone),
            _ => at(&self.path)(error),
        })?;
        let is = file.metadata().map_err(at(&self.path))?;
        if self.read == (is.dev(), is.ino(), is.len()) {
            return Ok(());
        }
        if (self.read.0, self.read.1) == (is.dev(), is.ino()) && is.len() > self.read.2 {
            file.seek(SeekFrom::Start(self.read.2)).map_err(at(&self.path))?;
        } else {
            // Another file, in which what was cosigned before must stand too: `added` sees to it.
            (self.read.2, self.lines) = (0, 0);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at(&self.path))?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |last| last + 1);
        if whole < bytes.len() {
            file.set_len(self.read.2 + whole as u64).map_err(at(&self.path))?;
            file.sync_all().map_err(at(&self.path))?;
        }
        let text = bytes.get(..whole).and_then(|b| std::str::from_utf8(b).ok());
        let mut text = text.ok_or_else(|| bad(&self.path, "isn't text"))?;
        if self.read.2 == 0 {
            text = text.strip_prefix(HEADER).ok_or_else(|| bad(&self.path, gone))?;
            let mut before = std::mem::take(&mut self.last);
            text.lines().try_for_each(|line| self.added(line))?;
            before.retain(|origin, known| self.last.get(origin).is_none_or(|now| now.size < known.size));
            if !before.is_empty() {
                self.unsure = true;
                return Err(bad(&self.path, "an earlier state was put back: put the latest one there"));
            }
        } else {
            text.lines().try_for_each(|line| self.added(line))?;
        }
        self.read = (is.dev(), is.ino(), self.read.2 + whole as u64);
        Ok(())
    }

    /// One line of the file.
    fn added(&mut self, line: &str) -> io::Result<()> {
        let damaged = || bad(&self.path, "is damaged: put it back from where it is whole");
        let note: String = serde_json::from_str(line).map_err(|_| damaged())?;
        verify_cosignature(&note, &self.key).map_err(|_| damaged())?;
        let checkpoint = Checkpoint::read(&note).map_err(|_| damaged())?;
        if self.last.get(&checkpoint.origin).is_some_and(|before| before.size > checkpoint.size) {
            return Err(damaged());
        }
        self.last.insert(checkpoint.origin.clone(), checkpoint);
        self.lines += 1;
        Ok(())
    }

    /// Keeps `cosigned`; durable when this returns. The caller has refreshed under the same lock.
    pub(super) fn keep(&mut self, cosigned: Checkpoint, _lock: &Locked) -> io::Result<()> {
        self.unsure = true;
        let line = line_of(&cosigned)?;
        let mut file = OpenOptions::new().append(true).open(&self.path).map_err(at(&self.path))?;
        file.write_all(line.as_bytes()).map_err(at(&self.path))?;
        file.sync_all().map_err(at(&self.path))?;
        self.read.2 += line.len() as u64;
        self.lines += 1;
        self.last.insert(cosigned.origin.clone(), cosigned);
        if self.lines > 2 * self.last.len() + SLACK {
            self.shorten()?;
        }
        self.unsure = false;
        Ok(())
    }

    /// Writes the file anew with the last checkpoint of each log.
    fn shorten(&mut self) -> io::Result<()> {
        let mut text = HEADER.to_owned();
        for checkpoint in self.last.values() {
            text.push_str(&line_of(checkpoint)?);
        }
        put(&self.path, &text).map_err(at(&self.path))?;
        let is = std::fs::metadata(&self.path).map_err(at(&self.path))?;
        self.read = (is.dev(), is.ino(), is.len());
        self.lines = self.last.len();
        Ok(())
    }
}

fn line_of(checkpoint: &Checkpoint) -> io::Result<String> {
    Ok(format!("{}\n", serde_json::to_string(&checkpoint.note)?))
}
