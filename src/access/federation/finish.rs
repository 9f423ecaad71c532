//! Back from the provider.

use super::person::BegunSession;
use super::{FederatedProvider, SIGN_IN, UnderWay};
use crate::access::oauth::Parameters;
use crate::access::transaction::{ActError, work};
use crate::access::{Access, RequestInfo, entries};
use crate::audit::entry::Stage;
use crate::domain::{Event, Principal, Secret, Session};
use crate::identity::oidc::{Answered, Identity, ProviderError};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::sync::Arc;

/// A session that has begun.
#[derive(Debug)]
pub struct PersonSignedIn {
    /// Value of the browser's cookie, to show once.
    pub cookie: Secret,
    /// For so many seconds.
    pub seconds: i64,
    /// A path of this gateway that was asked for at the beginning; who isn't active has nothing there.
    pub return_to: Option<String>,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum FederationError {
    /// No provider has this name.
    #[error("no provider has this name")]
    UnknownProvider,
    /// The answer belongs to no sign-in of this browser: there is none, it took too long, or it is another one's.
    #[error("the answer belongs to no sign-in of this browser")]
    Expired,
    /// The provider said no.
    #[error("the provider refused: {0}")]
    Declined(String),
    /// The provider's word doesn't count, or it can't be reached.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// None of the orgs that the provider is bound to is registered.
    #[error("no org of the provider is registered")]
    NoOrg,
    /// No random bytes from the system.
    #[error("no random bytes")]
    Busy,
    /// The records can't be used.
    #[error(transparent)]
    Act(#[from] ActError),
}

impl FederationError {
    /// Status and code of the answer, and of the entry.
    #[must_use]
    pub fn answer(&self) -> (u16, &'static str) {
        match self {
            Self::UnknownProvider => (404, "NOT_FOUND"),
            Self::Expired => (400, "SIGN_IN_EXPIRED"),
            Self::Provider(
                ProviderError::Fetch(_)
                | ProviderError::OtherIssuer { .. }
                | ProviderError::Endpoint(_)
                | ProviderError::LeftAlone
                | ProviderError::TooLate
                | ProviderError::Client(_),
            ) => (502, "PROVIDER_UNREACHABLE"),
            Self::Declined(_) | Self::NoOrg | Self::Provider(_) => (401, "SIGN_IN_FAILED"),
            Self::Busy | Self::Act(_) => (503, "STORE_UNAVAILABLE"),
        }
    }

    /// What stands in the entry; `None` where it is no failed sign-in of anybody.
    fn cause(&self) -> Option<String> {
        match self {
            Self::Declined(error) => Some(format!("declined: {error}")),
            Self::NoOrg => Some("no_org".to_owned()),
            Self::Provider(ProviderError::IdToken(fault)) => Some(format!("id_token: {fault}")),
            Self::Provider(ProviderError::MixUp) => Some("mix_up".to_owned()),
            Self::Provider(ProviderError::Code(_)) => Some("code".to_owned()),
            Self::Provider(ProviderError::Client(_)) => Some("client".to_owned()),
            Self::Provider(ProviderError::OtherSubject) => Some("userinfo: subject".to_owned()),
            Self::Provider(_) => Some("provider".to_owned()),
            Self::UnknownProvider | Self::Expired | Self::Busy | Self::Act(_) => None,
        }
    }
}

impl Access {
    /// Takes a provider's answer. `sealed`: the cookie that [`Access::begin_federated`] gave to the browser; `before`: the
    /// person's session that it has so far.
    ///
    /// # Errors
    /// [`FederationError`]; what a provider answered wrongly is in the platform log.
    pub async fn finish_federated(
        self: &Arc<Self>,
        sealed: Option<&str>,
        answer: &Parameters,
        before: Option<&Session>,
        request: &RequestInfo,
    ) -> Result<PersonSignedIn, FederationError> {
        let under_way = self.under_way(sealed, answer).ok_or(FederationError::Expired)?;
        let asked = self.federation.provider(&under_way.provider).ok_or(FederationError::Expired)?;
        let done = match self.identity(asked, &under_way, answer).await {
            Ok(identity) => self.begin_person(asked, identity, before, request).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(BegunSession { cookie, expires_at, active }) => Ok(PersonSignedIn {
                cookie,
                seconds: (expires_at - self.clock.now()).div_euclid(1000),
                return_to: under_way.return_to.filter(|_| active),
            }),
            Err(error) => {
                if let Some(cause) = error.cause() {
                    self.record_declined(asked, &error, cause, request).await;
                }
                Err(error)
            }
        }
    }

    /// The sign-in that an answer belongs to.
    fn under_way(&self, sealed: Option<&str>, answer: &Parameters) -> Option<UnderWay> {
        let open = |sealed| self.federation.browser.open::<UnderWay>(SIGN_IN, self.clock.now(), sealed);
        let under_way = sealed.and_then(open)?;
        let state = answer.get("state").filter(|_| !answer.repeats_any())?;
        let same = verify_slices_are_equal(state.as_bytes(), under_way.state.as_bytes());
        same.is_ok().then_some(under_way)
    }

    async fn identity(
        &self,
        asked: &FederatedProvider,
        under_way: &UnderWay,
        answer: &Parameters,
    ) -> Result<Identity, FederationError> {
        let issuer = answer.get("iss");
        asked.provider.is_of(issuer).await?;
        if let Some(error) = answer.get("error") {
            let error = error.chars().filter(|c| c.is_ascii_lowercase() || *c == '_').take(64).collect();
            return Err(FederationError::Declined(error));
        }
        let answered = Answered {
            code: answer.get("code").ok_or_else(|| FederationError::Declined("no code".to_owned()))?,
            issuer,
            nonce: &under_way.nonce,
            code_verifier: &under_way.code_verifier,
        };
        Ok(asked.provider.redeem(&answered, self.clock.now()).await?)
    }

    async fn begin_person(
        self: &Arc<Self>,
        asked: &FederatedProvider,
        identity: Identity,
        before: Option<&Session>,
        request: &RequestInfo,
    ) -> Result<BegunSession, FederationError> {
        let (access, id, request) = (Arc::clone(self), asked.id.clone(), request.clone());
        let persons = before.filter(|session| matches!(session.principal, Principal::OrgUser(_)));
        let before = persons.map(|session| session.key.clone());
        let work = work(move |tx| {
            let (access, id) = (access.clone(), id.clone());
            let (identity, before, request) = (identity.clone(), before.clone(), request.clone());
            Box::pin(
                async move { access.begin_person_in(tx, &id, &identity, before.as_ref(), &request).await },
            )
        });
        self.act(work).await?
    }

    /// Writes down that a provider's answer made nobody's session. Repeats are counted together.
    async fn record_declined(
        &self,
        asked: &FederatedProvider,
        error: &FederationError,
        cause: String,
        request: &RequestInfo,
    ) {
        tracing::warn!(
            provider = asked.id,
            error = error as &dyn std::error::Error,
            request_id = %request.id,
            "nobody was signed in"
        );
        let mut entry = entries::entry(Event::OrgLoginFailed, Stage::Refused, None, request);
        let (status, code) = error.answer();
        entry.code = Some(code.to_owned());
        entry.status = Some(status);
        entry.decision = Some("deny");
        entry.details.insert("cause".to_owned(), cause.into());
        entry.details.insert("provider".to_owned(), asked.id.as_str().into());
        if let Err(error) = self.audit.refusal(entry).await {
            tracing::error!(error = &error as &dyn std::error::Error, "a failed sign-in can't be recorded");
        }
    }
}
