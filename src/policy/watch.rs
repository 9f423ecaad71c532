//! Watching the two folders: an edit is in force, or refused, within a second.

use super::engine::PolicyEngine;
use super::fault::LoadReport;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

/// So long must the folders be quiet before they are read: editors write, rename, then touch.
const QUIET: Duration = Duration::from_millis(100);
/// So long is waited for quiet at most.
const AT_MOST: Duration = Duration::from_millis(500);

/// What became of an edit.
#[derive(Debug, Clone)]
pub enum ReloadEvent {
    /// A new set is in force, with this hash.
    Reloaded(Arc<str>),
    /// The new files are wrong; the old set stays in force.
    Rejected(Arc<LoadReport>),
}

/// Why the folders can't be watched.
#[derive(Debug, thiserror::Error)]
#[error("the folder `{folder}` can't be watched")]
pub struct WatchError {
    folder: String,
    source: notify::Error,
}

/// Watches until it is dropped.
pub struct Watcher {
    /// Dropping it closes the channel, and with it ends the thread that reloads.
    _notify: RecommendedWatcher,
}

impl PolicyEngine {
    /// Reloads whenever files change, and tells what became of it. `on` runs on a thread of its own.
    ///
    /// # Errors
    /// [`WatchError`] if a folder can't be watched.
    pub fn watch(self: &Arc<Self>, on: impl Fn(ReloadEvent) + Send + 'static) -> Result<Watcher, WatchError> {
        // One place is enough: a waiting event already means "read everything again".
        let (sender, receiver) = sync_channel(1);
        let folder = self.folders().policies.display().to_string();
        let mut notify = notify::recommended_watcher(move |event| tell(&sender, &event))
            .map_err(|source| WatchError { folder, source })?;
        for folder in [&self.folders().policies, &self.folders().schemas] {
            notify
                .watch(folder, RecursiveMode::NonRecursive)
                .map_err(|source| WatchError { folder: folder.display().to_string(), source })?;
        }
        let engine = self.clone();
        std::thread::Builder::new()
            .name("policy-watch".to_owned())
            .spawn(move || run(&engine, &receiver, on))
            .map_err(|error| WatchError {
                folder: self.folders().policies.display().to_string(),
                source: notify::Error::io(error),
            })?;
        Ok(Watcher { _notify: notify })
    }
}

fn tell(sender: &SyncSender<()>, event: &notify::Result<Event>) {
    // Reading the files is an event too; reacting to it would never end.
    if matches!(event, Ok(Event { kind: EventKind::Access(_), .. })) {
        return;
    }
    match sender.try_send(()) {
        Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
    }
}

fn run(engine: &PolicyEngine, events: &Receiver<()>, on: impl Fn(ReloadEvent)) {
    // What changed between loading and watching.
    reload(engine, &on);
    while events.recv().is_ok() {
        let begun = Instant::now();
        loop {
            match events.recv_timeout(QUIET) {
                Ok(()) if begun.elapsed() < AT_MOST => {}
                Ok(()) | Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
        reload(engine, &on);
    }
}

fn reload(engine: &PolicyEngine, on: &impl Fn(ReloadEvent)) {
    match engine.reload_if_news() {
        Ok(Some(hash)) => on(ReloadEvent::Reloaded(hash)),
        Ok(None) => {}
        Err(report) => on(ReloadEvent::Rejected(Arc::new(report))),
    }
}
