//! The setup gate: until an installation has its first platform admin, nothing else is served; afterwards the gate is
//! shut for good.

use super::admin::{Insert, set_initial};
use super::credential;
use super::own::end_all_but;
use super::{InitialPassword, email_key};
use crate::access::transaction::{ActError, Done};
use crate::access::{ADMIN_ROLE, Access, RequestInfo, entries};
use crate::audit::entry::{Entry, Stage};
use crate::audit::write_act;
use crate::domain::{Event, Millis, Secret, boot_time};
use crate::identity::{PasswordFault, SealError, Sealer, Whose};
use crate::store::{StoreError, Tx};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use std::sync::atomic::Ordering;

/// The setting whose presence says that it is done.
const DONE: &str = "setup_done";
/// How often the records are asked while it isn't, milliseconds.
const ASK_AGAIN: Millis = 100;

/// What the setup gate asks for: known to whoever runs the gateway, and to nobody else.
#[derive(Debug, Clone)]
pub struct SetupSecret(Secret);

impl SetupSecret {
    /// The one that follows from the master key: the same on every gateway of an installation.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn derived(sealer: &Sealer) -> Result<Self, SealError> {
        Ok(Self(Secret::new(format!("dbsetup_{}", BASE64URL.encode(sealer.derive("setup secret")?)))))
    }

    /// One of the operator's own, from a file; `None` if it is shorter than 16 bytes.
    #[must_use]
    pub fn mounted(text: &str) -> Option<Self> {
        let text = text.trim();
        (text.len() >= 16).then(|| Self(Secret::new(text)))
    }

    /// To be told at the start, on standard error and nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    fn is(&self, given: &Secret) -> bool {
        verify_slices_are_equal(self.0.expose().as_bytes(), given.expose().as_bytes()).is_ok()
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// The setup secret.
    pub secret: Secret,
    /// Address of the first platform admin.
    pub email: String,
    /// Their name; the address if it is left out.
    pub display_name: Option<String>,
}

/// Marks the installation as set up, with its entry; whether it wasn't before. Of two at once one does it: the other
/// waits for its end.
pub(in crate::access) async fn mark_set_up(
    tx: &mut Tx,
    mut entry: Entry,
    by: &str,
) -> Result<bool, StoreError> {
    let marked = tx
        .execute(
            "INSERT INTO setting (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[DONE.into(), by.into()],
        )
        .await?;
    if marked == 0 {
        return Ok(false);
    }
    entry.event = Event::SetupDone;
    entry.details.clear();
    entry.details.insert("by".to_owned(), by.into());
    write_act(tx, &entry).await?;
    Ok(true)
}

async fn is_marked(tx: &mut Tx) -> Result<bool, StoreError> {
    Ok(tx.row("SELECT value FROM setting WHERE key = $1", &[DONE.into()]).await?.is_some())
}

impl Access {
    /// Whether the installation is set up: from memory once it is, until then asked of the records at most ten times a
    /// second. Whoever comes while they are being asked waits for that answer. Records that can't be read count as not
    /// set up unless they have said otherwise.
    pub async fn is_set_up(&self) -> bool {
        let accounts = &self.accounts;
        if accounts.set_up.load(Ordering::Acquire) {
            return true;
        }
        let mut asked_at = accounts.asked_at.lock().await;
        // What the one before has found out, if it was a moment ago.
        if accounts.set_up.load(Ordering::Acquire) || boot_time().saturating_sub(*asked_at) < ASK_AGAIN {
            return accounts.set_up.load(Ordering::Acquire);
        }
        let found = self.look_whether_set_up().await;
        *asked_at = boot_time();
        found
    }

    /// Asks the records now.
    pub async fn look_whether_set_up(&self) -> bool {
        let looked = async { is_marked(&mut self.db.read().await?).await };
        match looked.await {
            Ok(done) => {
                if done {
                    self.accounts.set_up.store(true, Ordering::Release);
                }
                done
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "whether setup is done can't be read"
                );
                self.accounts.set_up.load(Ordering::Acquire)
            }
        }
    }

    /// What the setup gate asks for, to be told at the start while it is open.
    #[must_use]
    pub fn setup_secret(&self) -> &SetupSecret {
        &self.accounts.setup_secret
    }

    /// Makes the first platform admin and shuts the gate. One transaction: two at once make one, and after a crash it
    /// is as if nothing had been asked, or done.
    ///
    /// # Errors
    /// [`ActError`]: `SetupDone`, whatever the secret; `SetupSecret`; `Throttled`; `Invalid`.
    pub async fn bootstrap(
        &self,
        asked: Bootstrap,
        request: &RequestInfo,
    ) -> Result<InitialPassword, ActError> {
        if self.look_whether_set_up().await {
            return Err(ActError::SetupDone);
        }
        self.attempt_setup().await?;
        if !self.accounts.setup_secret.is(&asked.secret) {
            self.record_wrong_setup_secret(request).await;
            return Err(ActError::SetupSecret);
        }
        let entry = entries::entry(Event::PlatformUserCreated, Stage::Act, None, request);
        let (password, phc) = self.new_initial().await?;
        self.first_admin(&asked.email, asked.display_name.as_deref(), password, phc, entry, "setup gate")
            .await
    }

    /// The same by whoever runs the gateway, on its host: `drawbridge setup`, and `[setup.operator]` with a mounted
    /// `password`, which counts as an initial one (it is to be changed at the first sign-in).
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn bootstrap_by_operator(
        &self,
        email: &str,
        display_name: Option<&str>,
        password: Option<Secret>,
    ) -> Result<InitialPassword, ActError> {
        if self.look_whether_set_up().await {
            return Err(ActError::SetupDone);
        }
        let mut entry = Entry::system(Event::PlatformUserCreated, Stage::Act, self.clock.now());
        entry.actor_name = "Operator".to_owned();
        let (password, phc) = match password {
            None => self.new_initial().await?,
            Some(given) => {
                let name = display_name.unwrap_or_default();
                let checked = self.accounts.rules.check(given.expose(), Whose { email, display_name: name });
                checked.map_err(|fault: PasswordFault| ActError::Invalid {
                    member: "password_file",
                    fault: fault.told(),
                })?;
                let phc = self.accounts.hasher.hash(given.clone()).await?;
                (given, phc)
            }
        };
        self.first_admin(email, display_name, password, phc, entry, "operator").await
    }

    async fn first_admin(
        &self,
        email: &str,
        display_name: Option<&str>,
        password: Secret,
        phc: String,
        mut entry: Entry,
        by: &'static str,
    ) -> Result<InitialPassword, ActError> {
        let key = email_key(email);
        let name = display_name.filter(|name| !name.trim().is_empty()).unwrap_or(&key);
        let insert = Insert::new(email, name, vec![ADMIN_ROLE.to_owned()], phc)?;
        insert.describe(&mut entry);
        entry.status = entry.method.is_some().then_some(201);
        let (user, ttl) = (insert.id.clone(), self.accounts.settings.initial_password_ttl);
        let made = self
            .act(move |tx| {
                let (insert, entry) = (insert.clone(), entry.clone());
                Box::pin(async move {
                    let mut done = entry.clone();
                    done.resource = None;
                    if !mark_set_up(tx, done, by).await? {
                        return Err(ActError::SetupDone);
                    }
                    let expires_at = insert.insert(tx, ttl).await?;
                    write_act(tx, &entry).await?;
                    Ok(Done::unchanged(expires_at))
                })
            })
            .await;
        if made.is_ok() || matches!(made, Err(ActError::SetupDone)) {
            self.accounts.set_up.store(true, Ordering::Release);
        }
        Ok(InitialPassword { user, password, expires_at: made? })
    }

    /// Issues a new initial password for an account, by whoever runs the gateway, on its host: the way back in when
    /// no admin can (break-glass). Its sessions and impersonations end, a second factor stays unless `factors`.
    ///
    /// # Errors
    /// [`ActError`]: no such account.
    pub async fn initial_password_by_operator(
        &self,
        email: &str,
        factors: bool,
    ) -> Result<InitialPassword, ActError> {
        let key = email_key(email);
        let (password, phc) = self.new_initial().await?;
        let ttl = self.accounts.settings.initial_password_ttl;
        let mut template = Entry::system(Event::PasswordChanged, Stage::Act, self.clock.now());
        template.actor_name = "Operator".to_owned();
        let (user, expires_at) = self
            .act(move |tx| {
                let (key, phc, mut entry) = (key.clone(), phc.clone(), template.clone());
                Box::pin(async move {
                    let found =
                        credential::by_email(tx, &key).await?.ok_or(ActError::NotFound("platform user"))?;
                    let user = found.user.id;
                    credential::locked(tx, &user).await?;
                    entry.resource = Some(user.to_string());
                    if factors {
                        super::admin::clear_factors(tx, &user).await?;
                        let mut reset = entry.clone();
                        reset.event = Event::SecondFactorReset;
                        write_act(tx, &reset).await?;
                    }
                    let expires_at = set_initial(tx, &user, &phc, ttl).await?;
                    let ended = end_all_but(tx, &user, None, &entry).await?;
                    entry.details.insert("initial".to_owned(), true.into());
                    entry.details.insert("ended".to_owned(), ended.sessions.into());
                    write_act(tx, &entry).await?;
                    Ok(Done::changed((user, expires_at), ended.changes))
                })
            })
            .await?;
        Ok(InitialPassword { user, password, expires_at })
    }

    async fn record_wrong_setup_secret(&self, request: &RequestInfo) {
        let entry = super::sign_in::failed_entry(None, "setup_secret", 401, request);
        if let Err(error) = self.audit.refusal(entry).await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a wrong setup secret can't be recorded"
            );
        }
    }
}
