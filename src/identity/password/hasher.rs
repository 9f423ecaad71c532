//! Keeping passwords: argon2id (RFC 9106), a bounded number at once, so that a flood of sign-ins takes a bounded
//! amount of memory, and by threads that let requests go first.

use crate::domain::Secret;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::sync::{Semaphore, oneshot};

/// KiB of memory for one hash: 46 MiB with one pass and one lane (OWASP, ASVS appendix C).
const MEMORY: u32 = 47_104;
/// Passes.
const PASSES: u32 = 1;
/// How many may wait for their turn beyond those that are being hashed.
const QUEUE: usize = 64;

/// How far hashing steps back behind everything else, as by `nice(1)`.
const NICE: i32 = 10;

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

/// Hashes and compares. Cheap to clone.
#[derive(Clone)]
pub struct Hasher {
    /// One permit is 46 MiB and a core.
    at_once: Arc<Semaphore>,
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
        Self {
            at_once: Arc::new(Semaphore::new(at_once.get())),
            inside: Arc::default(),
            most: at_once.get() + QUEUE,
        }
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
        let permit = hasher.at_once.acquire_owned().await.map_err(failed)?;
        let (tell, told) = oneshot::channel();
        // A thread of its own, which costs little beside the hash, because its priority can't be raised again. Who
        // leaves meanwhile doesn't free the permit: the thread still hashes.
        std::thread::Builder::new()
            .name("password".to_owned())
            .spawn(move || {
                let _held = (permit, counted);
                step_back();
                drop(tell.send(work()));
            })
            .map_err(failed)?;
        told.await.map_err(failed)?
    }
}

/// Lowers the priority of the calling thread (`setpriority(2)`: on Linux it is the thread's): where cores are scarce
/// requests go first, and a hash still gets a tenth of a core.
fn step_back() {
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread's priority can't be lowered");
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
        let held = hasher.at_once.clone().acquire_owned().await.unwrap();
        let wait = async |n: usize| hasher.enter()?.verify(Secret::new(n.to_string()), None).await;
        let mut waiting: Vec<_> = (0..=QUEUE).map(|n| Box::pin(wait(n))).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(matches!(wait(99).await, Err(HashError::Busy)));
        // Who doesn't wait any longer makes room.
        waiting.truncate(QUEUE);
        let mut another = Box::pin(wait(100));
        assert!(futures_util::poll!(&mut another).is_pending());
        drop((held, another, waiting));
        assert_eq!(hasher.inside.load(Relaxed), 0);
    }
}
