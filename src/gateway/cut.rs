//! Cutting what is open under a session that ended (architecture §5.5).
//!
//! [`Cut`] wraps the application of every request. When the session's handle is set it drops the request's
//! future from outside, because Pingora's own filters don't run on an idle stream: over HTTP/1 the
//! connection is reset, over HTTP/2 the stream. `logging` doesn't run then; the outcome is written by
//! `Drop` of the request's context.

use super::conn;
use super::request_line::RequestLine;
use crate::access::Cancellation;
use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::server::ShutdownWatch;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// What a request's context and the wrapper around it share.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// Set as soon as the session is known, before anything is decided or awaited.
    cancellation: OnceLock<Cancellation>,
    /// A handler of our own runs that may end its own session (a logout must get its 200).
    exempt: AtomicBool,
    /// The context has been made: the head is complete.
    taken: AtomicBool,
    /// The request line on the wire.
    line: RequestLine,
}

impl Slot {
    /// From now on the request is cut when `cancellation` is set.
    pub(super) fn watch(&self, cancellation: &Cancellation) {
        let _ = self.cancellation.set(cancellation.clone());
    }
    /// Whether the request's session is over.
    #[must_use]
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancellation.get().is_some_and(Cancellation::is_cancelled)
    }
    /// Sets or lifts the exemption.
    pub(super) fn set_exempt(&self, exempt: bool) {
        self.exempt.store(exempt, Ordering::Release);
    }
    /// The request line on the wire, as far as it has been read.
    pub(super) fn line(&self) -> &RequestLine {
        &self.line
    }
    fn must_cut(&self) -> bool {
        self.is_cancelled() && !self.exempt.load(Ordering::Acquire)
    }
}

thread_local! {
    /// The slot of the request whose head is being read in the running poll: the hand-over from the wrapper
    /// to `new_ctx`, which Pingora calls without arguments.
    static SLOT: RefCell<Option<Arc<Slot>>> = const { RefCell::new(None) };
}

/// Takes the slot of the running request; called once, from `new_ctx`.
#[must_use]
pub(super) fn take_slot() -> Arc<Slot> {
    let slot = SLOT.take().unwrap_or_default();
    slot.taken.store(true, Ordering::Relaxed);
    slot
}

/// Shows the slot of the request whose head is being read in this poll, if one is.
pub(super) fn with_slot(look: impl FnOnce(&Slot)) {
    SLOT.with_borrow(|slot| {
        if let Some(slot) = slot {
            look(slot);
        }
    });
}

/// How many requests are being served; what a drain waits for.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    count: AtomicUsize,
    idle: Notify,
}

impl InFlight {
    /// Resolves when nothing is served.
    pub(super) async fn wait(&self) {
        loop {
            let mut idle = pin!(self.idle.notified());
            idle.as_mut().enable();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
    /// How many there are.
    #[must_use]
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
    fn begin(self: &Arc<Self>) -> Serving {
        self.count.fetch_add(1, Ordering::AcqRel);
        Serving(self.clone())
    }
}

struct Serving(Arc<InFlight>);

impl Drop for Serving {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

/// An application whose requests can be cut. See the module.
pub(super) struct Cut<A> {
    inner: Arc<A>,
    in_flight: Arc<InFlight>,
    head_timeout: Duration,
}

impl<A> Cut<A> {
    /// Around `inner`. A request's head may take `head_timeout` from its first byte to its last.
    pub(super) fn new(inner: A, head_timeout: Duration) -> Self {
        Self { inner: Arc::new(inner), in_flight: Arc::new(InFlight::default()), head_timeout }
    }
    /// What is being served.
    pub(super) fn in_flight(&self) -> &Arc<InFlight> {
        &self.in_flight
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> HttpServerApp for Cut<A> {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let slot = Arc::new(Slot::default());
        let mut inner = self.inner.process_new_http(session, shutdown);
        let mut woken: Pin<&mut Option<OwnedNotified>> = pin!(None);
        let mut head_deadline: Option<Pin<Box<tokio::time::Sleep>>> = None;
        let mut serving = None;
        let finished = poll_fn(|cx| {
            if let Some(woken) = woken.as_mut().as_pin_mut()
                && !slot.must_cut()
            {
                // Only for the wake-up: what counts is the flag.
                let _ = woken.poll(cx);
            }
            if slot.must_cut() {
                return Poll::Ready(None);
            }
            let reading_head = !slot.taken.load(Ordering::Relaxed);
            if reading_head {
                SLOT.set(Some(slot.clone()));
            }
            let polled = inner.as_mut().poll(cx);
            if reading_head {
                SLOT.set(None);
            }
            if let Poll::Ready(reused) = polled {
                return Poll::Ready(Some(reused));
            }
            if slot.taken.load(Ordering::Relaxed) {
                head_deadline = None;
                serving.get_or_insert_with(|| self.in_flight.begin());
            } else if slot.line.has_begun() {
                let deadline =
                    head_deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.head_timeout)));
                if deadline.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(None);
                }
            }
            if woken.is_none()
                && let Some(cancellation) = slot.cancellation.get()
            {
                // Created, registered, and only then is the flag read: no wake-up is lost.
                woken.set(Some(cancellation.notified()));
                if let Some(woken) = woken.as_mut().as_pin_mut() {
                    let _ = woken.poll(cx);
                }
            }
            if slot.must_cut() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await;
        match finished {
            Some(reused) => reused,
            None => {
                // Dropping the future closes the client's connection; reset it, or the kernel still
                // delivers megabytes that wait in its send buffer.
                conn::resetting(|| drop(inner));
                None
            }
        }
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.inner.h2_options()
    }
    fn server_options(&self) -> Option<&HttpServerOptions> {
        self.inner.server_options()
    }
    async fn http_cleanup(&self) {
        self.inner.http_cleanup().await;
    }
}

#[cfg(test)]
mod tests {
    use super::{InFlight, Slot};
    use crate::access::Cancellation;
    use std::sync::Arc;

    #[test]
    fn an_exempt_request_is_cut_once_the_exemption_is_lifted() {
        let (slot, cancellation) = (Slot::default(), Cancellation::default());
        assert!(!slot.must_cut());
        slot.watch(&cancellation);
        slot.set_exempt(true);
        cancellation.cancel();
        assert!(slot.is_cancelled() && !slot.must_cut());
        slot.set_exempt(false);
        assert!(slot.must_cut());
    }

    #[tokio::test]
    async fn a_drain_waits_for_the_last_request() {
        let in_flight = Arc::new(InFlight::default());
        in_flight.wait().await;
        let (one, two) = (in_flight.begin(), in_flight.begin());
        let waiting = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.wait().await }
        });
        drop(one);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(two);
        waiting.await.unwrap();
        assert_eq!(in_flight.count(), 0);
    }
}
