//! Whom a provider's word stands for: the person with this `(iss, sub)`, a person who waits for their first sign-in, or
//! a new one (requirements §6).
//!
//! An address is worth something only where it can't be anybody's claim: verified, exactly `true`; and to find a person
//! who has no identity yet and belongs to no org that the provider doesn't speak for. After that it is a label.

use super::{FederatedProvider, FederationError};
use crate::access::provision::{add_member, to_orgs_of};
use crate::access::transaction::{ActError, Done};
use crate::access::{Access, RequestInfo, entries, records};
use crate::audit::entry::{Entry, Logs, Stage};
use crate::domain::ids::{OrgId, OrgUserId, RequestId, SessionId, Subject};
use crate::domain::{Event, Millis, OrgRole, Principal, RevokeReason, Secret, email_key};
use crate::identity::SessionSecret;
use crate::identity::oidc::Identity;
use crate::store::{ChangeRecord, Effect, Row, StoreError, Tx};

/// An org that a provider is bound to.
struct Bound {
    id: OrgId,
    auto_add_new_users: bool,
}

/// A session that has begun.
pub(super) struct BegunSession {
    pub(super) cookie: Secret,
    pub(super) expires_at: Millis,
    pub(super) active: bool,
}

/// How a person came to be.
struct Found {
    id: OrgUserId,
    /// `created` or `linked`, the first time.
    first: Option<&'static str>,
    changes: Vec<ChangeRecord>,
}

impl Found {
    fn changed(id: OrgUserId, first: Option<&'static str>) -> Self {
        let change = ChangeRecord { effect: Effect::Changed, subjects: vec![id.subject()] };
        Self { id, first, changes: vec![change] }
    }
}

impl Access {
    /// The transaction of a sign-in. A failure is an answer; nothing is written then. `before`: the session that the
    /// browser has so far, which is over with this one (S-17).
    pub(super) async fn begin_person_in(
        &self,
        tx: &mut Tx,
        provider: &str,
        identity: &Identity,
        before: Option<&Subject>,
        request: &RequestInfo,
    ) -> Result<Done<Result<BegunSession, FederationError>>, ActError> {
        let asked = self.federation.provider(provider).ok_or(ActError::NotFound("provider"))?;
        let orgs = bound(tx, asked).await?;
        if orgs.is_empty() {
            return Ok(Done::unchanged(Err(FederationError::NoOrg)));
        }
        let now = tx.now().await?;
        let Found { id, first, mut changes } = find(tx, asked, &orgs, identity).await?;
        if let Some(before) = before {
            let why = RevokeReason::Logout;
            let over =
                "UPDATE session SET ended_at = {now}, revoke_reason = $1 WHERE id = $2 AND ended_at IS NULL";
            if tx.execute(over, &[why.as_str().into(), before.as_str().into()]).await? > 0 {
                changes
                    .push(ChangeRecord { effect: Effect::Ended(Some(why)), subjects: vec![before.clone()] });
            }
        }
        let session = SessionId::random();
        let secret = SessionSecret::generate().ok_or(ActError::Busy)?;
        let started_at = now.div_euclid(1000) * 1000;
        let whole = started_at + self.federation.session;
        let expires_at =
            if asked.session_ends_with_provider { whole.min(identity.expires_at) } else { whole };
        tx.execute(
            "INSERT INTO session (id, subject_id, started_at, expires_at, ended_at, revoke_reason, client_id, amr, \
               auth_time, secret_hash) VALUES ($1, $2, $3, $4, NULL, NULL, $5, '[]', $3, $6)",
            &[
                session.as_str().into(),
                id.as_str().into(),
                started_at.into(),
                expires_at.into(),
                asked.id.as_str().into(),
                secret.hash().into(),
            ],
        )
        .await?;
        let facts = records::session(tx, &session.subject()).await?.ok_or(ActError::NoPermit)?;
        let events = first.map(|how| (Event::OrgUserCreated, Some(how))).into_iter();
        for (event, how) in events.chain([(Event::OrgLogin, None)]) {
            let mut entry = entries::entry(event, Stage::Act, Some(&facts), request);
            entry.status = Some(200);
            entry.logs = Logs::Platform;
            entry.resource = Some(id.to_string());
            entry.details.insert("provider".to_owned(), asked.id.as_str().into());
            if let Some(how) = how {
                entry.details.insert("how".to_owned(), how.into());
            }
            to_orgs_of(tx, id.as_str(), &entry).await?;
        }
        let active = matches!(&facts.principal, Principal::OrgUser(user) if user.active);
        Ok(Done::changed(Ok(BegunSession { cookie: secret.into_secret(), expires_at, active }), changes))
    }
}

/// The orgs that a provider is bound to and that are registered, their rows locked: of two first sign-ins at once, or a
/// first sign-in and an operator's command, one is first.
async fn bound(tx: &mut Tx, asked: &FederatedProvider) -> Result<Vec<Bound>, StoreError> {
    let mut names = asked.orgs.clone();
    names.sort();
    let mut orgs = Vec::new();
    for name in names {
        let sql = "SELECT id, auto_add_new_users FROM org WHERE slug = $1 OR id = $1 {for_update}";
        if let Some(row) = tx.row(sql, &[name.into()]).await? {
            let id = OrgId::parse(row.text(0)?).map_err(|e| StoreError::Corrupt(e.to_string()))?;
            orgs.push(Bound { id, auto_add_new_users: row.int(1)? != 0 });
        }
    }
    Ok(orgs)
}

async fn find(
    tx: &mut Tx,
    asked: &FederatedProvider,
    orgs: &[Bound],
    identity: &Identity,
) -> Result<Found, ActError> {
    let verified = identity.email.as_deref().filter(|_| identity.email_verified).map(email_key);
    let known = tx
        .row(
            "SELECT org_user_id FROM org_user_identity WHERE issuer = $1 AND subject = $2",
            &[identity.issuer.as_str().into(), identity.subject.as_str().into()],
        )
        .await?;
    if let Some(row) = known {
        let id = person_id(row.text(0)?)?;
        let changed = update(tx, &asked.id, &id, identity, verified.as_deref()).await?;
        return Ok(if changed {
            Found::changed(id, None)
        } else {
            Found { id, first: None, changes: Vec::new() }
        });
    }
    let waiting = match &verified {
        Some(email) => waiting(tx, orgs, email).await?,
        None => None,
    };
    let found = match waiting {
        Some(id) => {
            update(tx, &asked.id, &id, identity, verified.as_deref()).await?;
            if asked.makes_site_admin(verified.as_deref()) {
                let sql = "UPDATE org_user SET site_admin = 1, active = 1 WHERE id = $1";
                tx.execute(sql, &[id.as_str().into()]).await?;
            }
            Found::changed(id, Some("linked"))
        }
        None => create(tx, asked, orgs, identity, verified.as_deref()).await?,
    };
    tx.execute(
        "INSERT INTO org_user_identity (issuer, subject, org_user_id, provider, email, created_at, last_sign_in_at) \
         VALUES ($1, $2, $3, $4, $5, {now}, {now})",
        &[
            identity.issuer.as_str().into(),
            identity.subject.as_str().into(),
            found.id.as_str().into(),
            asked.id.as_str().into(),
            identity.email.clone().unwrap_or_default().into(),
        ],
    )
    .await?;
    Ok(found)
}

/// Somebody who is there already: their name and address are those of now. Whether they were others before.
async fn update(
    tx: &mut Tx,
    provider: &str,
    id: &OrgUserId,
    identity: &Identity,
    verified: Option<&str>,
) -> Result<bool, StoreError> {
    tx.execute(
        "UPDATE org_user_identity SET email = $1, provider = $2, last_sign_in_at = {now} WHERE org_user_id = $3",
        &[identity.email.clone().unwrap_or_default().into(), provider.into(), id.as_str().into()],
    )
    .await?;
    let row = tx
        .row("SELECT email, display_name FROM org_user WHERE id = $1 {for_update}", &[id.as_str().into()])
        .await?
        .ok_or_else(|| StoreError::Corrupt(format!("person `{id}` is gone")))?;
    let (email, name) = (row.text(0)?, row.text(1)?);
    let (email_now, name_now) = (verified.unwrap_or(email), identity.name.as_deref().unwrap_or(name));
    if (email, name) == (email_now, name_now) {
        return Ok(false);
    }
    tx.execute(
        "UPDATE org_user SET email = $1, display_name = $2 WHERE id = $3",
        &[email_now.into(), name_now.into(), id.as_str().into()],
    )
    .await?;
    Ok(true)
}

/// The one person with this address whom an operator has added, who has never signed in and belongs to no org that the
/// provider doesn't speak for: somebody else's provider could take their place.
async fn waiting(tx: &mut Tx, orgs: &[Bound], email: &str) -> Result<Option<OrgUserId>, StoreError> {
    // Locked: an operator's command may be making them a member elsewhere, another provider's first sign-in be theirs.
    let people = "SELECT id FROM org_user WHERE email = $1 ORDER BY id {for_update}";
    let mut found = Vec::new();
    for row in &tx.rows(people, &[email.into()]).await? {
        let id = row.text(0)?;
        let identity = "SELECT 1 FROM org_user_identity WHERE org_user_id = $1";
        let signed_in = tx.row(identity, &[id.into()]).await?.is_some();
        let memberships =
            tx.rows("SELECT org_id FROM membership WHERE subject_id = $1", &[id.into()]).await?;
        let within =
            |row: &Row| row.text(0).is_ok_and(|org| orgs.iter().any(|bound| bound.id.as_str() == org));
        if !signed_in && memberships.iter().all(within) {
            found.push(person_id(id)?);
        }
    }
    Ok(found.pop().filter(|_| found.is_empty()))
}

async fn create(
    tx: &mut Tx,
    asked: &FederatedProvider,
    orgs: &[Bound],
    identity: &Identity,
    verified: Option<&str>,
) -> Result<Found, ActError> {
    let id = OrgUserId::random();
    let site_admin = asked.makes_site_admin(verified);
    let added: Vec<&Bound> = orgs.iter().filter(|org| org.auto_add_new_users).collect();
    let active = site_admin || !added.is_empty();
    let name = identity.name.as_deref().or(identity.email.as_deref()).unwrap_or(&identity.subject);
    tx.execute(
        "INSERT INTO org_user (id, email, display_name, active, site_admin, created_at) \
         VALUES ($1, $2, $3, $4, $5, {now})",
        &[
            id.as_str().into(),
            verified.unwrap_or_default().into(),
            name.into(),
            active.into(),
            site_admin.into(),
        ],
    )
    .await?;
    let mut entry = Entry::system(Event::MemberAdded, Stage::Act, tx.now().await?);
    entry.details.insert("provider".to_owned(), asked.id.as_str().into());
    for org in added {
        // An entry each: they are told apart by the request.
        let entry = Entry { request_id: RequestId::random(), ..entry.clone() };
        add_member(tx, &org.id, id.as_str(), OrgRole::Viewer, entry).await?;
    }
    // Nobody can have heard of them.
    Ok(Found { id, first: Some("created"), changes: Vec::new() })
}

fn person_id(text: &str) -> Result<OrgUserId, StoreError> {
    OrgUserId::parse(text).map_err(|e| StoreError::Corrupt(e.to_string()))
}
