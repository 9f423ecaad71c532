//! The handle by which everything open under a session is counted, and cut (architecture §5.5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// Set once, never unset; shared by all requests of one session.
///
/// An atomic and a `Notify` rather than `tokio_util`'s token: the hot path asks with one atomic load,
/// without that token's lock.
#[derive(Debug, Clone, Default)]
pub struct Cancellation {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    cancelled: AtomicBool,
    /// Nobody ended it, as far as is known here.
    unproven: AtomicBool,
    notify: Arc<Notify>,
    open: AtomicUsize,
}

impl Cancellation {
    /// Ends everything that waits on this handle.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::SeqCst);
        self.inner.notify.notify_waiters();
    }

    /// The same where nothing is known of an end: this gateway can't tell any more whether there was one.
    pub(super) fn cancel_unproven(&self) {
        self.inner.unproven.store(true, Ordering::SeqCst);
        self.cancel();
    }

    /// Whether it was cancelled because the view is stale: `503 VIEW_STALE`, and not the `401` of what is over.
    #[must_use]
    pub fn is_unproven(&self) -> bool {
        self.inner.unproven.load(Ordering::SeqCst)
    }

    /// Whether it has been cancelled: one atomic load.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::SeqCst)
    }

    /// How many requests are open to the upstream under the session. Who adds to it takes the same away.
    #[must_use]
    pub fn open_requests(&self) -> &AtomicUsize {
        &self.inner.open
    }

    /// How many hold this handle.
    #[must_use]
    pub(super) fn holders(&self) -> usize {
        Arc::strong_count(&self.inner)
    }

    /// Resolves at the next [`Cancellation::cancel`]. Create it, *then* ask [`Cancellation::is_cancelled`],
    /// and no wake-up is lost.
    pub fn notified(&self) -> OwnedNotified {
        self.inner.notify.clone().notified_owned()
    }
}
