//! Authorization codes: made at the sign-in, kept as a hash, redeemed once (RFC 6749 §4.1.2, §4.1.3).

use super::{AuthorizationRequest, OAuthClient, OAuthError, Parameters, SCOPE};
use crate::access::accounts::SignedIn;
use crate::access::end::{LiveGrants, end_grants};
use crate::access::transaction::{ActError, Done};
use crate::access::{Access, RequestInfo, entries, records};
use crate::audit::entry::Stage;
use crate::audit::write_act;
use crate::domain::ids::{PlatformUserId, SessionId, Subject};
use crate::domain::{Event, Millis, Principal, RevokeReason, Secret};
use crate::identity::{AccessGrant, AccessSubject, AuthorizationCode, is_verifier, pkce_proves};
use crate::store::{ChangeRecord, Effect, Row, StoreError, Tx};
use serde::{Deserialize, Serialize};

/// How long a code may be redeemed, milliseconds (ASVS 10.4.2).
const CODE_TTL: Millis = 60_000;
/// How long a code is remembered after its time, milliseconds.
const REMEMBERED: Millis = 24 * 3_600_000;
/// The way from the sign-in to the client.
const TICKET: &str = "ticket";

/// What a client wants redeemed.
#[derive(Debug, Clone)]
pub struct CodeGrant {
    code: AuthorizationCode,
    redirect_uri: String,
    verifier: Secret,
}

/// A token response (RFC 6749 §5.1).
#[derive(Debug, Clone)]
pub struct TokenAnswer {
    /// The access token.
    pub token: Secret,
    /// Seconds.
    pub expires_in: i64,
    /// Scope.
    pub scope: &'static str,
}

/// What goes from the sign-in to our callback: the request's answer, once more sealed.
#[derive(Serialize, Deserialize)]
struct Ticket {
    request: AuthorizationRequest,
    code: String,
}

/// What is kept of a code, and of the session that it is for.
struct Kept {
    session: SessionId,
    redeemed: bool,
    client: String,
    redirect_uri: String,
    challenge: String,
}

impl CodeGrant {
    /// Reads a token request.
    ///
    /// # Errors
    /// [`OAuthError::Invalid`].
    pub fn read(form: &Parameters) -> Result<Self, OAuthError> {
        match form.get("grant_type") {
            Some("authorization_code") => {}
            None => return Err(OAuthError::invalid("invalid_request", "`grant_type` is missing")),
            Some(_) => {
                return Err(OAuthError::invalid(
                    "unsupported_grant_type",
                    "only `authorization_code` is supported; there are no refresh tokens: sign in again",
                ));
            }
        }
        let needed =
            |name, description| form.get(name).ok_or(OAuthError::invalid("invalid_request", description));
        let verifier = needed("code_verifier", "`code_verifier` is missing: codes are bound by PKCE")?;
        if !is_verifier(verifier) {
            return Err(OAuthError::invalid(
                "invalid_request",
                "`code_verifier` has 43 to 128 characters of A-Z a-z 0-9 - . _ ~",
            ));
        }
        let code = needed("code", "`code` is missing")?;
        let redirect_uri =
            needed("redirect_uri", "`redirect_uri` is missing: give that of the request")?.to_owned();
        // What can't be a code of ours is as unknown as any other.
        let code = AuthorizationCode::parse(code).ok_or_else(invalid_grant)?;
        Ok(Self { code, redirect_uri, verifier: Secret::new(verifier) })
    }
}

const fn invalid_grant() -> OAuthError {
    OAuthError::invalid(
        "invalid_grant",
        "the code is unknown, used, expired, or not for this client, redirect URI and verifier; sign in again",
    )
}

impl Access {
    /// Makes a code for a session that has just begun; gives the ticket with which the browser fetches it.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn finish_authorization(
        &self,
        request: AuthorizationRequest,
        signed_in: &SignedIn,
    ) -> Result<String, ActError> {
        let code = AuthorizationCode::generate().ok_or(ActError::Busy)?;
        let (hash, session, kept) = (code.hash(), signed_in.session.clone(), request.clone());
        self.act(move |tx| {
            let (hash, session, kept) = (hash.clone(), session.clone(), kept.clone());
            Box::pin(async move {
                tx.execute(
                    "INSERT INTO authorization_code (hash, session_id, client_id, redirect_uri, code_challenge, scope, \
                       created_at, expires_at, redeemed_at) VALUES ($1, $2, $3, $4, $5, $6, {now}, {now} + $7, NULL)",
                    &[
                        hash.into(),
                        session.as_str().into(),
                        kept.client_id.into(),
                        kept.redirect_uri.into(),
                        kept.code_challenge.into(),
                        SCOPE.into(),
                        CODE_TTL.into(),
                    ],
                )
                .await?;
                // A second use is noticed for a day: longer than anything that came of the first can live.
                let over = "DELETE FROM authorization_code WHERE expires_at < {now} - $1";
                tx.execute(over, &[REMEMBERED.into()]).await?;
                Ok(Done::unchanged(()))
            })
        })
        .await?;
        let until = self.clock.now() + CODE_TTL;
        let code = code.into_secret().expose().to_owned();
        self.oauth.browser.seal(TICKET, until, &Ticket { request, code }).ok_or(ActError::Busy)
    }

    /// Where the browser goes with its ticket: to the client, with the code. `None` once its time is over.
    #[must_use]
    pub fn callback(&self, ticket: &str) -> Option<String> {
        let Ticket { request, code } = self.oauth.browser.open(TICKET, self.clock.now(), ticket)?;
        Some(request.answer(self.issuer(), &[("code", &code)]))
    }

    /// Redeems a code. One that was redeemed before ends what came of it (RFC 9700 §4.2.4).
    ///
    /// # Errors
    /// [`OAuthError`].
    pub async fn redeem(
        &self,
        client: &OAuthClient,
        grant: CodeGrant,
        request: &RequestInfo,
    ) -> Result<TokenAnswer, OAuthError> {
        // Made-up codes cost no transaction that writes: on SQLite there is one at a time.
        if !is_code(&mut self.db.read().await?, &grant).await? {
            return Err(invalid_grant());
        }
        let (client_id, ttl) = (client.id.clone(), self.oauth.settings.access_token_ttl);
        let kept = client_id.clone();
        let (client, request) = (client_id, request.clone());
        let redeemed = self
            .act(move |tx| {
                let (client, grant, request) = (client.clone(), grant.clone(), request.clone());
                Box::pin(async move { redeem_in(tx, &client, &grant, &request).await })
            })
            .await?;
        let Some(session) = redeemed else { return Err(invalid_grant()) };
        let expires_at = session.expires_at.min(session.now + ttl);
        let token = self.tokens.access(&AccessGrant {
            session: &session.id,
            subject: AccessSubject::Platform { id: &session.user, roles: &session.roles },
            client_id: &kept,
            amr: &session.amr,
            auth_time: session.auth_time,
            issued_at: session.now,
            expires_at,
        });
        let token = token.map_err(ActError::Token)?;
        Ok(TokenAnswer { token, expires_in: (expires_at - session.now) / 1000, scope: SCOPE })
    }
}

/// Whether it is a code that was given to somebody, whatever became of it.
async fn is_code(tx: &mut Tx, grant: &CodeGrant) -> Result<bool, StoreError> {
    let sql = "SELECT hash FROM authorization_code WHERE hash = $1";
    Ok(tx.row(sql, &[grant.code.hash().into()]).await?.is_some())
}

/// The session that a code was for.
struct Redeemed {
    id: SessionId,
    user: PlatformUserId,
    roles: Vec<String>,
    amr: Vec<String>,
    auth_time: Millis,
    expires_at: Millis,
    /// Whole seconds.
    now: Millis,
}

/// The transaction; `None` is a refusal, committed with what it ended.
async fn redeem_in(
    tx: &mut Tx,
    client: &str,
    grant: &CodeGrant,
    request: &RequestInfo,
) -> Result<Done<Option<Redeemed>>, ActError> {
    let hash = grant.code.hash();
    let found = "SELECT session_id, redeemed_at, client_id, redirect_uri, code_challenge FROM authorization_code \
                 WHERE hash = $1";
    let args = [hash.as_str().into()];
    let Some(row) = tx.row(found, &args).await? else { return Ok(Done::unchanged(None)) };
    let kept = kept(&row)?;
    if !kept.redeemed {
        // Somebody else's attempt leaves the code to whom it was made for.
        let theirs = kept.client == client
            && kept.redirect_uri == grant.redirect_uri
            && pkce_proves(grant.verifier.expose(), &kept.challenge);
        if !theirs {
            return Ok(Done::unchanged(None));
        }
        let taken = tx
            .execute(
                "UPDATE authorization_code SET redeemed_at = {now} \
                 WHERE hash = $1 AND redeemed_at IS NULL AND expires_at > {now}",
                &[hash.as_str().into()],
            )
            .await?;
        if taken == 1 {
            return session_of(tx, kept.session).await;
        }
        // Expired; or another request has taken it since it was read, which is a second use.
        let again = tx.row(found, &args).await?.map(|row| row.opt_int(1)).transpose()?.flatten();
        if again.is_none() {
            return Ok(Done::unchanged(None));
        }
    }
    let changes = end_session(tx, &kept.session.subject(), RevokeReason::CodeReused, None, request).await?;
    Ok(Done::changed(None, changes))
}

fn kept(row: &Row) -> Result<Kept, StoreError> {
    let session = SessionId::parse(row.text(0)?).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    Ok(Kept {
        session,
        redeemed: row.opt_int(1)?.is_some(),
        client: row.text(2)?.to_owned(),
        redirect_uri: row.text(3)?.to_owned(),
        challenge: row.text(4)?.to_owned(),
    })
}

async fn session_of(tx: &mut Tx, id: SessionId) -> Result<Done<Option<Redeemed>>, ActError> {
    let now = tx.now().await?;
    let facts = records::session(tx, &id.subject()).await?;
    let facts = facts.filter(|facts| facts.ended.is_none() && facts.expires_at > now);
    let Some(facts) = facts else { return Ok(Done::unchanged(None)) };
    let Principal::PlatformUser(user) = facts.principal else { return Ok(Done::unchanged(None)) };
    if user.disabled {
        return Ok(Done::unchanged(None));
    }
    let row = tx.row("SELECT amr, auth_time FROM session WHERE id = $1", &[id.as_str().into()]).await?;
    let row = row.ok_or(ActError::NoPermit)?;
    let amr = row.opt_text(0)?.and_then(|amr| serde_json::from_str(amr).ok()).unwrap_or_default();
    Ok(Done::unchanged(Some(Redeemed {
        id,
        user: user.id,
        roles: user.roles,
        amr,
        auth_time: row.opt_int(1)?.unwrap_or(facts.started_at),
        expires_at: facts.expires_at,
        now: now.div_euclid(1000) * 1000,
    })))
}

/// Ends a sign-in and every impersonation of the person, with `token.revoked` in the platform log, unless it is over
/// already.
pub(super) async fn end_session(
    tx: &mut Tx,
    key: &Subject,
    why: RevokeReason,
    client: Option<&str>,
    request: &RequestInfo,
) -> Result<Vec<ChangeRecord>, ActError> {
    let Some(facts) = records::session(tx, key).await? else { return Ok(Vec::new()) };
    let Principal::PlatformUser(user) = &facts.principal else { return Ok(Vec::new()) };
    tx.row("SELECT id FROM platform_user WHERE id = $1 {for_update}", &[user.id.as_str().into()]).await?;
    let ended = tx
        .execute(
            "UPDATE session SET ended_at = {now}, revoke_reason = $1 WHERE id = $2 AND ended_at IS NULL",
            &[why.as_str().into(), key.as_str().into()],
        )
        .await?;
    if ended == 0 {
        return Ok(Vec::new());
    }
    let mut entry = entries::entry(Event::TokenRevoked, Stage::Act, Some(&facts), request);
    entry.resource = Some(key.to_string());
    entry.revoke_reason = Some(why);
    entry.status = Some(if why == RevokeReason::CodeReused { 400 } else { 200 });
    if let Some(client) = client {
        entry.details.insert("client_id".to_owned(), client.into());
    }
    write_act(tx, &entry).await?;
    let (_, change) = end_grants(tx, &LiveGrants::OfUser(user.id.clone()), why, &entry).await?;
    let mut changes = vec![ChangeRecord { effect: Effect::Ended(Some(why)), subjects: vec![key.clone()] }];
    changes.extend(change);
    Ok(changes)
}
