//! Keeping passwords: argon2id (RFC 9106), a bounded number at once, so that a flood of sign-ins takes a bounded
//! amount of memory, and by threads that let everything else go first.

use crate::domain::Secret;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use parking_lot::Mutex;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};
use tokio::sync::oneshot;

/// KiB of memory for one hash: 46 MiB with one pass and one lane (OWASP, ASVS appendix C).
const MEMORY: u32 = 47_104;
/// Passes.
const PASSES: u32 = 1;
/// How many may wait for their turn beyond those that are being hashed.
const QUEUE: usize = 64;

/// What is compared with when there is no password: costs the same, and is nobody's.
const NOBODY: &str =
    "$argon2id$v=19$m=47104,t=1,p=1$bm8gb25lJ3Mgc2FsdA$rqL0mNwb0UuMqEaH1NDm2Hq5Pslzd8Yp6dLZ6eBRDZM";

/// Why nothing was hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// Too many wait already.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// No random bytes, or a stored hash that isn't one.
    #[error("a password can't be hashed: {0}")]
    Failed(String),
}

/// What a comparison gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// It is the password.
    pub right: bool,
    /// It is kept at a lower cost than today's: hash it anew.
    pub weaker: bool,
}

/// What one of the threads is to do.
type Job = Box<dyn FnOnce() + Send>;

/// Hashes and compares. Cheap to clone.
#[derive(Clone)]
pub struct Hasher {
    /// To the threads, of which each takes 46 MiB and a core while it hashes; the jobs wait in the order of asking. The
    /// threads live as long as somebody can send.
    jobs: Sender<Job>,
    /// Those that hash or wait.
    inside: Arc<AtomicUsize>,
    most: usize,
}

/// A place among those that hash or wait for it: what is done with it isn't turned away any more. Dropped, it is free
/// again.
#[must_use = "dropped, the place is somebody else's"]
pub struct Place {
    hasher: Hasher,
    counted: Inside,
}

/// Counts one that hashes or waits, until it is dropped.
struct Inside(Arc<AtomicUsize>);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Hasher {
    /// `at_once`: how many are hashed at the same time, each with 46 MiB.
    #[must_use]
    pub fn new(at_once: NonZeroUsize) -> Self {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..at_once.get() {
            let waiting = waiting.clone();
            let started =
                std::thread::Builder::new().name("password".to_owned()).spawn(move || work(&waiting));
            if let Err(error) = started {
                tracing::error!(error = &error as &dyn std::error::Error, "no thread to hash passwords");
            }
        }
        Self { jobs, inside: Arc::default(), most: at_once.get() + QUEUE }
    }

    /// Takes a place, for who has to know *before* something is written down that the password will be looked at.
    ///
    /// # Errors
    /// [`HashError::Busy`].
    pub fn enter(&self) -> Result<Place, HashError> {
        let inside = self.inside.fetch_add(1, Relaxed);
        let counted = Inside(self.inside.clone());
        if inside >= self.most {
            return Err(HashError::Busy);
        }
        Ok(Place { hasher: self.clone(), counted })
    }

    /// The PHC string to keep.
    ///
    /// # Errors
    /// [`HashError`].
    pub async fn hash(&self, password: Secret) -> Result<String, HashError> {
        let hashed = self.enter()?.run(move || {
            let mut salt = [0_u8; 16];
            aws_lc_rs::rand::fill(&mut salt).map_err(|_| HashError::Failed("no random bytes".to_owned()))?;
            let hashed = today()?.hash_password_with_salt(password.expose().as_bytes(), &salt);
            hashed.map(|hash| hash.to_string()).map_err(failed)
        });
        hashed.await
    }
}

impl Place {
    /// Whether this is the password that is kept as `phc`; without one it takes as long, and is wrong.
    ///
    /// # Errors
    /// [`HashError::Failed`].
    pub async fn verify(self, password: Secret, phc: Option<String>) -> Result<Verdict, HashError> {
        let verdict = self.run(move || {
            let kept = PasswordHash::new(phc.as_deref().unwrap_or(NOBODY)).map_err(failed)?;
            let right = match today()?.verify_password(password.expose().as_bytes(), &kept) {
                Ok(()) => phc.is_some(),
                Err(argon2::password_hash::Error::PasswordInvalid) => false,
                Err(error) => return Err(failed(error)),
            };
            let cost = Params::try_from(&kept).map_err(failed)?;
            let ours = kept.algorithm.as_str() == Algorithm::Argon2id.as_str();
            let weaker =
                !ours || u64::from(cost.m_cost()) * u64::from(cost.t_cost()) < u64::from(MEMORY * PASSES);
            Ok(Verdict { right, weaker })
        });
        verdict.await
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, HashError> + Send + 'static,
    ) -> Result<T, HashError> {
        let Self { hasher, counted } = self;
        let (tell, told) = oneshot::channel();
        let job = move || {
            // Nobody may wait for it any more.
            if !tell.is_closed() {
                let done = work();
                drop(counted);
                drop(tell.send(done));
            }
        };
        hasher.jobs.send(Box::new(job)).map_err(failed)?;
        told.await.map_err(failed)?
    }
}

/// What a thread does all its life. A new one for each hash would be owed a slice of the core right away, and take it
/// before those that could run already.
fn work(waiting: &Mutex<Receiver<Job>>) {
    step_back();
    loop {
        // The lock is given back before the job is done.
        let job = waiting.lock().recv();
        let Ok(job) = job else { return };
        // So is one that has slept: it lets the others go first.
        std::thread::yield_now();
        // Who waits for it is told that it failed; the thread is needed by those behind it.
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("hashing a password panicked");
        }
    }
}

/// Puts the calling thread behind everything else (`SCHED_IDLE`, sched(7)): it has cores that nobody wants, is put off
/// at once when a request comes, and gets a few thousandths of a core that is never idle. A low priority by `nice(2)`
/// isn't enough: a thread keeps the core for a slice of a few milliseconds, whatever its priority.
fn step_back() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
        tracing::debug!(?error, "a thread's scheduling can't be changed");
    }
}

fn today() -> Result<Argon2<'static>, HashError> {
    let params = Params::new(MEMORY, PASSES, 1, None).map_err(failed)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn failed(error: impl std::fmt::Display) -> HashError {
    HashError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(at_once: usize) -> Hasher {
        Hasher::new(NonZeroUsize::new(at_once).unwrap())
    }

    #[tokio::test]
    async fn s_07_argon2id_at_todays_cost_and_weaker_ones_are_seen() {
        let hasher = hasher(2);
        let phc = hasher.hash(Secret::new("correct horse battery staple")).await.unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"), "{phc}");
        let verify = async |password: &str, phc: &str| {
            hasher.enter().unwrap().verify(Secret::new(password), Some(phc.to_owned())).await.unwrap()
        };
        assert_eq!(
            verify("correct horse battery staple", &phc).await,
            Verdict { right: true, weaker: false }
        );
        assert!(!verify("correct horse battery stapl", &phc).await.right);
        let params = Params::new(8_192, 1, 1, None).unwrap();
        let old = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let old = old.hash_password_with_salt(b"an older password", &[3; 16]).unwrap().to_string();
        assert_eq!(verify("an older password", &old).await, Verdict { right: true, weaker: true });
    }

    #[tokio::test]
    async fn s_02_every_character_counts() {
        let hasher = hasher(2);
        let long: String = "0123456789abcdefghij".repeat(7);
        let phc = hasher.hash(Secret::new(&*long)).await.unwrap();
        let mut others = vec![format!(" {long}"), format!("{long} "), long.to_uppercase()];
        for at in [71, 72, 73, 100, 139] {
            let mut other: Vec<char> = long.chars().collect();
            other[at] = '!';
            others.push(other.into_iter().collect());
        }
        for other in others {
            let verdict =
                hasher.enter().unwrap().verify(Secret::new(&*other), Some(phc.clone())).await.unwrap();
            assert!(!verdict.right, "{other}");
        }
        assert!(hasher.enter().unwrap().verify(Secret::new(&*long), Some(phc)).await.unwrap().right);
    }

    #[tokio::test]
    async fn nobody_has_no_password() {
        for tried in ["", "nobody", "no one's salt"] {
            assert!(!hasher(1).enter().unwrap().verify(Secret::new(tried), None).await.unwrap().right);
        }
    }

    #[tokio::test]
    async fn beyond_the_queue_it_says_so() {
        let hasher = hasher(1);
        let (release, held) = channel::<()>();
        let holder = hasher.enter().unwrap().run(move || Ok(held.recv()));
        let wait = async |n: usize| hasher.enter()?.verify(Secret::new(n.to_string()), None).await;
        let mut waiting: Vec<_> = (0..QUEUE).map(|n| Box::pin(wait(n))).collect();
        let mut holder = Box::pin(holder);
        assert!(futures_util::poll!(&mut holder).is_pending());
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(matches!(wait(99).await, Err(HashError::Busy)));
        drop(release);
        holder.await.unwrap().unwrap_err();
        for one in waiting {
            assert!(!one.await.unwrap().right);
        }
        assert!(!wait(100).await.unwrap().right);
    }

    #[tokio::test]
    async fn a_panic_fails_its_own_only() {
        let hasher = hasher(1);
        let panicked = hasher.enter().unwrap().run::<()>(|| panic!("on purpose")).await;
        assert!(matches!(panicked, Err(HashError::Failed(_))));
        assert!(!hasher.enter().unwrap().verify(Secret::new("x"), None).await.unwrap().right);
        assert_eq!(hasher.inside.load(Relaxed), 0);
    }

    #[tokio::test]
    async fn who_leaves_isnt_hashed_for() {
        let hasher = hasher(1);
        let (release, held) = channel::<()>();
        let mut holder = Box::pin(hasher.enter().unwrap().run(move || Ok(held.recv())));
        assert!(futures_util::poll!(&mut holder).is_pending());
        let (tell, told) = channel::<()>();
        let mut gone = Box::pin(hasher.enter().unwrap().run(move || Ok(tell.send(()))));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop((gone, release));
        holder.await.unwrap().unwrap_err();
        assert!(!hasher.enter().unwrap().verify(Secret::new("x"), None).await.unwrap().right);
        assert!(told.recv().is_err(), "it was done for nobody");
        assert_eq!(hasher.inside.load(Relaxed), 0);
    }
}
