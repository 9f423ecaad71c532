//! Accounts of the demo: a password and a second factor that follow from the master key, so that they are the same at
//! every start on the same data.

use super::credential;
use crate::access::transaction::{ActError, Done};
use crate::access::{Access, NewPerson};
use crate::domain::{Secret, email_key};
use crate::identity::TotpSecret;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

/// What signs a seeded account in.
#[derive(Debug, Clone)]
pub struct SeededAccount {
    /// Address.
    pub email: String,
    /// Password.
    pub password: Secret,
    /// The authenticator's secret, base32.
    pub totp_secret: Secret,
}

impl Access {
    /// An account with this address, made with these roles if there is none, and fully set up: a password of its own
    /// and a second factor. For `drawbridge dev` and tests: whoever has the master key knows them. An account that has
    /// a password keeps it.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn seed_account(&self, new: NewPerson, roles: Vec<String>) -> Result<SeededAccount, ActError> {
        let email = email_key(&new.email);
        let user = self.provision_platform_user(new, roles).await?;
        let derive = |label: &str| {
            let key = self.accounts.sealer.derive(&format!("seeded {label} of {email}"));
            key.map_err(|_| ActError::Busy)
        };
        let password = Secret::new(BASE64URL.encode(derive("password")?.get(..18).unwrap_or_default()));
        let totp = derive("second factor")?;
        let totp = totp.get(..20).and_then(TotpSecret::from_bytes).ok_or(ActError::Busy)?;
        let seeded =
            SeededAccount { email, password: password.clone(), totp_secret: Secret::new(totp.base32()) };
        let there = credential::by_id(&mut self.db.read().await?, &user).await?;
        if there.is_some_and(|account| account.password_hash.is_some()) {
            return Ok(seeded);
        }
        let phc = self.accounts.hasher.hash(password).await?;
        let sealed = credential::seal(&self.accounts.sealer, &user, &totp).map_err(|_| ActError::Busy)?;
        self.act(move |tx| {
            let (user, phc, sealed) = (user.clone(), phc.clone(), sealed.clone());
            Box::pin(async move {
                tx.execute(
                    "INSERT INTO platform_credential (platform_user_id, password_hash, password_set_at, totp_secret, \
                       totp_enabled_at) VALUES ($1, $2, {now}, $3, {now}) ON CONFLICT DO NOTHING",
                    &[user.as_str().into(), phc.into(), sealed.into()],
                )
                .await?;
                Ok(Done::unchanged(()))
            })
        })
        .await?;
        Ok(seeded)
    }
}
