//! Accounts of the vendor's staff: signing in, one's own password and second factor, what admins do with the
//! accounts of others, and the setup gate.
//!
//! Passwords are compared outside of transactions (46 MiB and a few dozen milliseconds each); what they proved is
//! then held against the account's row under its lock: a sign-in counts only if the account is still enabled and its
//! credentials are still those that were compared. Attempts are counted before they are looked at, in transactions of
//! their own ([`throttle`]). Start with [`sign_in`].

mod admin;
mod cookie;
mod credential;
mod enrolment;
mod org;
mod own;
mod password;
mod seed;
mod setup;
mod sign_in;
mod step_up;
mod throttle;

pub(super) use admin::clear_factors;
pub use admin::{NewAccount, Provisioned};
pub use enrolment::{Confirmed, Enrolment};
pub use own::OwnAccount;
pub use password::{ChangePassword, Changed};
pub use seed::SeededAccount;
pub(super) use setup::mark_set_up;
pub use setup::{Bootstrap, SetupSecret};
pub use sign_in::{PasswordProved, PasswordProvedClaims, SignIn, SignInAnswer, SignInError, SignedIn};
pub use step_up::StepUp;

use crate::domain::ids::PlatformUserId;
use crate::domain::{Millis, Secret, email_key};
use crate::identity::{HashError, Hasher, PasswordRules, Sealer};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::Mutex;

/// What is configured about accounts.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// Passwords hashed at the same time, each with 46 MiB.
    pub hash_at_once: NonZeroUsize,
    /// Words that a password must not live on, beside the product's name.
    pub words: Vec<String>,
    /// How long an initial password may be used, milliseconds.
    pub initial_password_ttl: Millis,
    /// From a sign-in to the end of its session, whatever happens, milliseconds.
    pub session_absolute: Millis,
    /// How long a browser's session may be idle, milliseconds.
    pub session_idle: Millis,
}

impl Default for AccountSettings {
    /// What is documented as default.
    fn default() -> Self {
        const HOUR: Millis = 3_600_000;
        Self {
            hash_at_once: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            words: Vec::new(),
            initial_password_ttl: 24 * HOUR,
            session_absolute: 12 * HOUR,
            session_idle: HOUR,
        }
    }
}

/// A password that the server made, to be shown once.
#[derive(Debug, Clone)]
pub struct InitialPassword {
    /// Whose.
    pub user: PlatformUserId,
    /// Shown once, kept as a hash.
    pub password: Secret,
    /// Until when it may be used to sign in.
    pub expires_at: Millis,
}

/// What the acts on accounts share.
pub(super) struct Accounts {
    pub(super) settings: AccountSettings,
    pub(super) hasher: Hasher,
    pub(super) rules: PasswordRules,
    /// Seals second factors; other secrets are derived from its key.
    pub(super) sealer: Arc<Sealer>,
    /// What the setup gate asks for.
    pub(super) setup_secret: SetupSecret,
    /// Once set up it stays so.
    set_up: AtomicBool,
    /// When the records were asked last whether it is, by the time since the machine's start. Held while they are asked,
    /// so that one asks and the others wait for its answer.
    asked_at: Mutex<Millis>,
}

impl Accounts {
    pub(super) fn new(settings: AccountSettings, sealer: Arc<Sealer>, setup_secret: SetupSecret) -> Self {
        Self {
            hasher: Hasher::new(settings.hash_at_once),
            rules: PasswordRules::new(&settings.words),
            settings,
            sealer,
            setup_secret,
            set_up: AtomicBool::new(false),
            asked_at: Mutex::new(Millis::MIN),
        }
    }
}

/// That nothing was hashed, as the answer of an act.
impl From<HashError> for super::ActError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::Failed(what) => {
                tracing::error!(what, "a password can't be hashed");
                Self::Busy
            }
        }
    }
}
