//! How many requests are open to the upstream, under one session and in all, and the caps on both.
//!
//! A place is taken when a request is permitted, before its intent is recorded, and given back by `Drop` with
//! the request's context: at its end, a cut, a client's leaving, a panic. The gateway's own routes take none,
//! so that a gateway full of streams can still be told to end them.

use super::refusal::Refusal;
use super::settings::Limits;
use crate::access::Cancellation;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The caps, and the count of all.
pub(super) struct OpenRequests {
    /// Shared with the metrics, which show it.
    all: Arc<AtomicUsize>,
    most: Option<NonZeroUsize>,
    most_per_session: Option<NonZeroUsize>,
}

impl OpenRequests {
    /// Counts in `all`.
    pub(super) fn new(all: Arc<AtomicUsize>, limits: &Limits) -> Self {
        Self { all, most: limits.open_requests, most_per_session: limits.open_requests_per_session }
    }

    /// Takes a place; a stranger's request only counts among all.
    ///
    /// # Errors
    /// `429 RATE_LIMITED`: the session has its share, or the gateway is full.
    pub(super) fn enter(&self, session: Option<&Cancellation>) -> Result<Open, Refusal> {
        if let Some(session) = session
            && !add(session.open_requests(), self.most_per_session)
        {
            return Err(session_full());
        }
        // From here on the session's place is given back with this value.
        let mut open = Open { session: session.cloned(), all: None };
        if !add(&self.all, self.most) {
            return Err(gateway_full());
        }
        open.all = Some(self.all.clone());
        Ok(open)
    }
}

/// A request's place, until it is dropped.
#[must_use = "the place is free again when this is dropped"]
pub(super) struct Open {
    session: Option<Cancellation>,
    all: Option<Arc<AtomicUsize>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        for count in self.session.iter().map(Cancellation::open_requests).chain(self.all.as_deref()) {
            count.fetch_sub(1, Relaxed);
        }
    }
}

/// Counts one more, unless there are `most`. Never above it for a moment, or two who come at once would both
/// be refused the last place.
fn add(count: &AtomicUsize, most: Option<NonZeroUsize>) -> bool {
    let most = most.map_or(usize::MAX, NonZeroUsize::get);
    count.fetch_update(Relaxed, Relaxed, |n| (n < most).then(|| n + 1)).is_ok()
}

fn session_full() -> Refusal {
    Refusal {
        retry_after: Some(1),
        ..Refusal::own(
            429,
            "RATE_LIMITED",
            "too many requests are open under this session; close a stream or wait for an answer, then try again",
        )
    }
}

fn gateway_full() -> Refusal {
    Refusal {
        retry_after: Some(1),
        ..Refusal::own(
            429,
            "RATE_LIMITED",
            "the gateway has as many requests open as it may, so nothing was forwarded; try again later",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::{Limits, OpenRequests};
    use crate::access::Cancellation;
    use std::num::NonZeroUsize;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    fn caps(all: usize, per_session: usize) -> (OpenRequests, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let limits = Limits {
            open_requests: NonZeroUsize::new(all),
            open_requests_per_session: NonZeroUsize::new(per_session),
            ..Limits::default()
        };
        (OpenRequests::new(count.clone(), &limits), count)
    }

    #[test]
    fn each_cap_by_itself_and_places_come_back() {
        let (caps, all) = caps(3, 2);
        let (one, two) = (Cancellation::default(), Cancellation::default());
        let first = caps.enter(Some(&one)).ok().unwrap();
        let second = caps.enter(Some(&one)).ok().unwrap();
        assert_eq!(caps.enter(Some(&one)).err().unwrap().status, 429);
        let third = caps.enter(Some(&two)).ok().unwrap();
        assert_eq!(
            caps.enter(Some(&two)).err().unwrap().status,
            429,
            "the session has room, the gateway none"
        );
        assert_eq!(caps.enter(None).err().unwrap().status, 429);
        assert_eq!((one.open_requests().load(Relaxed), two.open_requests().load(Relaxed)), (2, 1));
        drop((first, third));
        let stranger = caps.enter(None).ok().unwrap();
        assert_eq!(all.load(Relaxed), 2);
        drop((second, stranger));
        assert_eq!((all.load(Relaxed), one.open_requests().load(Relaxed)), (0, 0));
    }

    #[test]
    fn zero_is_no_cap_and_many_threads_never_pass_one() {
        let (none, all) = caps(0, 0);
        let one = Cancellation::default();
        let open: Vec<_> = (0..300).map(|_| none.enter(Some(&one)).ok().unwrap()).collect();
        assert_eq!(all.load(Relaxed), 300);
        drop(open);
        let (caps, all) = caps(5, 0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2_000 {
                        let _place = caps.enter(Some(&one));
                        assert!(all.load(Relaxed) <= 5);
                    }
                });
            }
        });
        assert_eq!((all.load(Relaxed), one.open_requests().load(Relaxed)), (0, 0));
    }
}
