//! The lease: until when this gateway's view may be trusted without asking anybody.
//!
//! It was renewed by a write that was *sent* at some instant, and every change that was committed before that
//! write is applied; so for [`LENGTH`] from that instant on no revocation can have been answered that isn't in
//! force here (Gray and Cheriton, "Leases", SOSP 1989).

use crate::domain::{Millis, Principal, boot_time};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// How long a lease is good, milliseconds from the sending of its renewal.
pub(in crate::access) const LENGTH: Millis = 1_000;
/// How long others wait for a lease to run out: its length and a tenth, for clocks that don't run alike.
pub(in crate::access) const RUN_OUT: Millis = LENGTH + LENGTH / 10;
/// How long a request waits for a renewal that is late.
const PATIENCE: Duration = Duration::from_millis(500);
/// Of a gateway that needs no lease.
const FOR_EVER: Millis = Millis::MAX;

/// See the module. Time is [`boot_time`].
pub struct Lease {
    /// An atomic, because every request asks.
    good_until: AtomicI64,
    /// How much longer customers' own sessions may be served.
    tolerance: Millis,
    renewed: Notify,
}

/// How far the view may be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::access) enum Freshness {
    /// Nothing was revoked that isn't in force here.
    Fresh,
    /// As stale as the configuration allows for customers' own sessions.
    Tolerable,
    /// Not at all.
    Lapsed,
}

impl Freshness {
    /// Whether a request of `principal` may be decided on it. An impersonation's may always: its grant is asked
    /// for in the transaction that records the request (architecture §5.1).
    pub(in crate::access) const fn admits(self, principal: &Principal) -> bool {
        match principal {
            Principal::Impersonation(_) => true,
            Principal::PlatformUser(_) => matches!(self, Self::Fresh),
            Principal::OrgUser(_) | Principal::Bot(_) => matches!(self, Self::Fresh | Self::Tolerable),
        }
    }
}

impl Lease {
    /// Of a gateway that holds its records alone: whatever changes is in force before the call answers.
    #[must_use]
    pub const fn not_needed() -> Self {
        Self { good_until: AtomicI64::new(FOR_EVER), tolerance: 0, renewed: Notify::const_new() }
    }

    /// Of one gateway among several; lapsed until it is renewed. `max_staleness`: milliseconds that the view of
    /// customers' own sessions may be old; up to [`LENGTH`] (0, say) it is strict.
    #[must_use]
    pub fn needed(max_staleness: Millis) -> Self {
        Self {
            good_until: AtomicI64::new(Millis::MIN),
            tolerance: max_staleness.saturating_sub(LENGTH).max(0),
            renewed: Notify::new(),
        }
    }

    /// Whether there are other gateways.
    pub(in crate::access) fn is_needed(&self) -> bool {
        self.good_until.load(Ordering::Acquire) != FOR_EVER
    }

    /// How far the view may be trusted now. Ask *before* reading facts: what is read afterwards is at least as new.
    pub(in crate::access) fn now(&self) -> Freshness {
        match self.good_until.load(Ordering::Acquire) {
            FOR_EVER => Freshness::Fresh,
            until => self.judge(until, boot_time()),
        }
    }

    /// How far it might have been trusted at `now`.
    pub(in crate::access) fn at(&self, now: Millis) -> Freshness {
        self.judge(self.good_until(), now)
    }

    fn judge(&self, until: Millis, now: Millis) -> Freshness {
        if now < until {
            Freshness::Fresh
        } else if now < until.saturating_add(self.tolerance) {
            Freshness::Tolerable
        } else {
            Freshness::Lapsed
        }
    }

    /// Until when it is good: [`Millis::MAX`] where none is needed.
    #[must_use]
    pub fn good_until(&self) -> Millis {
        self.good_until.load(Ordering::Acquire)
    }

    /// Takes a renewal that was sent at `sent`, once all changes before it are applied.
    pub(in crate::access) fn extend(&self, sent: Millis) {
        self.good_until.fetch_max(sent.saturating_add(LENGTH), Ordering::AcqRel);
        self.renewed.notify_waiters();
    }

    /// Gives the lease up.
    pub(in crate::access) fn void(&self) {
        self.good_until.store(Millis::MIN, Ordering::Release);
    }

    /// Waits until it is renewed, but not for long.
    pub(in crate::access) async fn renewal(&self) {
        let renewed = self.renewed.notified();
        if self.now() != Freshness::Fresh {
            drop(tokio::time::timeout(PATIENCE, renewed).await);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_the_sending_and_never_backwards() {
        let lease = Lease::needed(0);
        assert_eq!(lease.judge(lease.good_until(), 0), Freshness::Lapsed);
        lease.extend(5_000);
        lease.extend(4_000);
        let at = |now| lease.judge(lease.good_until(), now);
        assert_eq!([at(5_999), at(6_000)], [Freshness::Fresh, Freshness::Lapsed]);
        lease.void();
        assert_eq!(lease.judge(lease.good_until(), 5_000), Freshness::Lapsed);
    }

    #[test]
    fn staleness_is_tolerated_beyond_the_lease_and_for_customers_only() {
        let lease = Lease::needed(3_000);
        lease.extend(0);
        let at = |now| lease.judge(lease.good_until(), now);
        assert_eq!(
            [at(999), at(1_000), at(2_999), at(3_000)],
            [Freshness::Fresh, Freshness::Tolerable, Freshness::Tolerable, Freshness::Lapsed]
        );
        assert_eq!(Lease::needed(999).tolerance, 0, "shorter than a lease is strict");
        assert!(!Lease::not_needed().is_needed() && Lease::not_needed().now() == Freshness::Fresh);
    }
}
