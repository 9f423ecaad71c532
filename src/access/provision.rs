//! What an operator sets up by hand: orgs, people, bots, and credentials for them. Every act is recorded.
//!
//! Idempotent by slug, e-mail and name: what is there already is found, not made again.

use super::address::{one_person, person_for};
use super::transaction::{ActError, Done};
use super::{ADMIN_ROLE, Access, accounts};
use crate::audit::entry::{Entry, Logs, Stage};
use crate::audit::write_act;
use crate::domain::ids::{BotId, OrgId, OrgUserId, PlatformUserId, RequestId, SessionId, TokenId};
use crate::domain::{Event, Millis, Org, OrgRole, Secret, email_key};
use crate::identity::{AccessGrant, AccessSubject, ApiToken, TokenError};
use crate::store::{ChangeRecord, Effect, StoreError, Tx};

/// An org to be there.
#[derive(Debug, Clone)]
pub struct NewOrg {
    /// Unique short name.
    pub slug: String,
    /// Name for people.
    pub name: String,
    /// What the customer pays for.
    pub plan: String,
    /// The owner's e-mail.
    pub owner_email: String,
    /// How the owner's switch stands at first.
    pub allow_platform_impersonation: bool,
    /// Whoever signs in first with a provider that is bound to the org becomes an active viewer of it.
    pub auto_add_new_users: bool,
}

/// A person to be there.
#[derive(Debug, Clone)]
pub struct NewPerson {
    /// E-mail, by which the person is found again.
    pub email: String,
    /// Name for people.
    pub display_name: String,
}

/// A credential that was issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// To show once.
    pub token: Secret,
    /// Until when it counts.
    pub expires_at: Millis,
}

fn set_up(event: Event, time: Millis, resource: &str) -> Entry {
    let mut entry = Entry::system(event, Stage::Act, time);
    entry.actor_name = "Operator".to_owned();
    entry.resource = Some(resource.to_owned());
    entry
}

/// The single text column of the first row, read as an identifier.
async fn found<T>(
    tx: &mut Tx,
    sql: &'static str,
    value: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let row = tx.row(sql, &[value.into()]).await?;
    let Some(row) = row else { return Ok(None) };
    let text = row.text(0)?;
    parse(text).map(Some).ok_or_else(|| StoreError::Corrupt(format!("identifier `{text}`")))
}

impl Access {
    /// An org with this slug, made if there is none.
    ///
    /// # Errors
    /// [`ActError::Store`].
    pub async fn provision_org(&self, new: NewOrg) -> Result<OrgId, ActError> {
        let time = self.clock.now();
        self.act(move |tx| {
            let new = new.clone();
            Box::pin(async move {
                let there =
                    found(tx, "SELECT id FROM org WHERE slug = $1", &new.slug, |t| OrgId::parse(t).ok()).await?;
                if let Some(id) = there {
                    return Ok(Done::unchanged(id));
                }
                let id = OrgId::random();
                tx.execute(
                    "INSERT INTO org (id, name, slug, plan, owner_email, status, allow_platform_impersonation, \
                       auto_add_new_users, created_at) VALUES ($1, $2, $3, $4, $5, 'active', $6, $7, {now})",
                    &[
                        id.as_str().into(),
                        new.name.into(),
                        new.slug.into(),
                        new.plan.into(),
                        new.owner_email.into(),
                        new.allow_platform_impersonation.into(),
                        new.auto_add_new_users.into(),
                    ],
                )
                .await?;
                let mut entry = set_up(Event::OrgCreated, time, id.as_str());
                entry.org_id = Some(id.clone());
                entry.logs = Logs::Both;
                if new.auto_add_new_users {
                    entry.details.insert("auto_add_new_users".to_owned(), true.into());
                }
                write_act(tx, &entry).await?;
                let change = ChangeRecord { effect: Effect::Changed, subjects: vec![id.subject()] };
                Ok(Done::changed(id, vec![change]))
            })
        })
        .await
    }

    /// All orgs, by slug.
    ///
    /// # Errors
    /// [`ActError::Store`].
    pub async fn all_orgs(&self) -> Result<Vec<Org>, ActError> {
        let mut tx = self.db.read().await?;
        let sql = format!("SELECT {} FROM org ORDER BY slug", super::records::ORG_COLUMNS);
        let rows = tx.rows_dynamic(sql, &[]).await?;
        Ok(rows.iter().map(super::records::org_of).collect::<Result<_, _>>()?)
    }

    /// The org with this slug or identifier.
    ///
    /// # Errors
    /// [`ActError::NotFound`].
    pub async fn find_org(&self, slug_or_id: &str) -> Result<OrgId, ActError> {
        let mut tx = self.db.read().await?;
        let sql = "SELECT id FROM org WHERE slug = $1 OR id = $1";
        let org = found(&mut tx, sql, slug_or_id, |t| OrgId::parse(t).ok()).await?;
        org.ok_or(ActError::NotFound("org"))
    }

    /// The bot with this name or identifier, in `org` if it is named.
    ///
    /// # Errors
    /// [`ActError::NotFound`].
    pub async fn find_bot(&self, name_or_id: &str, org: Option<&str>) -> Result<BotId, ActError> {
        let org = match org {
            Some(org) => Some(self.find_org(org).await?),
            None => None,
        };
        let mut tx = self.db.read().await?;
        let rows = tx
            .rows(
                "SELECT DISTINCT b.id FROM bot b JOIN membership m ON m.subject_id = b.id \
                 WHERE (b.name = $1 OR b.id = $1) AND ($2 = '' OR m.org_id = $2) LIMIT 2",
                &[name_or_id.into(), org.as_ref().map_or("", |o| o.as_str()).into()],
            )
            .await?;
        match rows.as_slice() {
            [one] => BotId::parse(one.text(0)?).map_err(|e| StoreError::Corrupt(e.to_string()).into()),
            [] => Err(ActError::NotFound("bot")),
            _ => Err(ActError::Invalid {
                member: "--bot",
                fault: "names several bots: add `--org`, or give the id",
            }),
        }
    }

    /// A platform account with this e-mail, made with these roles if there is none.
    ///
    /// # Errors
    /// [`ActError::Store`].
    pub async fn provision_platform_user(
        &self,
        new: NewPerson,
        roles: Vec<String>,
    ) -> Result<PlatformUserId, ActError> {
        let time = self.clock.now();
        let new = NewPerson { email: email_key(&new.email), ..new };
        let is_admin = roles.iter().any(|role| role == ADMIN_ROLE);
        self.act(move |tx| {
            let (new, roles) = (new.clone(), roles.clone());
            Box::pin(async move {
                let sql = "SELECT id FROM platform_user WHERE email = $1";
                if let Some(id) = found(tx, sql, &new.email, |t| PlatformUserId::parse(t).ok()).await? {
                    return Ok(Done::unchanged(id));
                }
                let id = PlatformUserId::random();
                let listed = serde_json::Value::from(roles).to_string();
                tx.execute(
                    "INSERT INTO platform_user (id, email, display_name, roles, disabled_at, created_at, credential_version) \
                     VALUES ($1, $2, $3, $4, NULL, {now}, 0)",
                    &[id.as_str().into(), new.email.as_str().into(), new.display_name.into(), listed.as_str().into()],
                )
                .await?;
                let mut entry = set_up(Event::PlatformUserCreated, time, id.as_str());
                entry.details.insert("email".to_owned(), new.email.into());
                entry.details.insert("roles".to_owned(), listed.into());
                write_act(tx, &entry).await?;
                if is_admin {
                    // Whoever may do this runs the gateway, and would have the setup secret.
                    let done = set_up(Event::SetupDone, time, "");
                    accounts::mark_set_up(tx, Entry { resource: None, ..done }, "operator").await?;
                }
                Ok(Done::unchanged(id))
            })
        })
        .await
    }

    /// An org user with this e-mail, member of `org` with `role`; made, active, if there is none. Somebody who signs in
    /// with a provider is found by the address that it has verified, if it speaks for the org: another's word for who
    /// that is isn't taken.
    ///
    /// # Errors
    /// [`ActError::Store`].
    pub async fn provision_org_user(
        &self,
        new: NewPerson,
        org: OrgId,
        role: OrgRole,
    ) -> Result<OrgUserId, ActError> {
        let time = self.clock.now();
        let new = NewPerson { email: email_key(&new.email), ..new };
        let federation = self.federation.clone();
        self.act(move |tx| {
            let (new, org, federation) = (new.clone(), org.clone(), federation.clone());
            Box::pin(async move {
                // Two commands at once make one person.
                tx.row("SELECT id FROM org WHERE id = $1 {for_update}", &[org.as_str().into()]).await?;
                let there = person_for(tx, &federation, &new.email, &org).await?;
                let id = match there {
                    Some(id) => id,
                    None => {
                        let id = OrgUserId::random();
                        tx.execute(
                            "INSERT INTO org_user (id, email, display_name, active, created_at) VALUES ($1, $2, $3, 1, {now})",
                            &[id.as_str().into(), new.email.as_str().into(), new.display_name.into()],
                        )
                        .await?;
                        id
                    }
                };
                let entry = set_up(Event::MemberAdded, time, id.as_str());
                let changes = add_member(tx, &org, id.as_str(), role, entry).await?;
                Ok(Done::changed(id, changes))
            })
        })
        .await
    }

    /// An active bot of this name in `org`, with `role` there; made if there is none.
    ///
    /// # Errors
    /// [`ActError::Store`].
    pub async fn provision_bot(&self, name: &str, org: OrgId, role: OrgRole) -> Result<BotId, ActError> {
        let (time, name) = (self.clock.now(), name.to_owned());
        self.act(move |tx| {
            let (name, org) = (name.clone(), org.clone());
            Box::pin(async move {
                tx.row("SELECT id FROM org WHERE id = $1 {for_update}", &[org.as_str().into()]).await?;
                let row = tx
                    .row(
                        "SELECT b.id FROM bot b JOIN membership m ON m.subject_id = b.id WHERE b.name = $1 AND m.org_id = $2",
                        &[name.as_str().into(), org.as_str().into()],
                    )
                    .await?;
                if let Some(row) = row {
                    let id = BotId::parse(row.text(0)?).map_err(|e| StoreError::Corrupt(e.to_string()))?;
                    return Ok(Done::unchanged(id));
                }
                let id = BotId::random();
                tx.execute(
                    "INSERT INTO bot (id, name, active, created_at) VALUES ($1, $2, 1, {now})",
                    &[id.as_str().into(), name.into()],
                )
                .await?;
                let entry = set_up(Event::MemberAdded, time, id.as_str());
                let changes = add_member(tx, &org, id.as_str(), role, entry).await?;
                Ok(Done::changed(id, changes))
            })
        })
        .await
    }

    /// Begins a session of a platform user and gives its access token. `email` names the account.
    ///
    /// # Errors
    /// [`ActError`]: no such account, or it is disabled.
    pub async fn issue_platform_token(&self, email: &str, ttl: Millis) -> Result<Issued, ActError> {
        let (email, time) = (email_key(email), self.clock.now());
        let (session, user, roles, started_at) = self
            .act(move |tx| {
                let email = email.clone();
                Box::pin(async move {
                    let row = tx
                        .row(
                            "SELECT id, email, display_name, roles, disabled_at, password_change_required, \
                               enrolment_required FROM platform_user WHERE email = $1 {for_update}",
                            &[email.as_str().into()],
                        )
                        .await?;
                    let user =
                        row.as_ref().map(|row| super::records::platform_user_of(row, 0)).transpose()?;
                    let user =
                        user.filter(|u| !u.disabled).ok_or(ActError::NotFound("active platform user"))?;
                    let (session, started_at) = begin_session(tx, user.id.as_str(), ttl).await?;
                    let mut entry = set_up(Event::PlatformLogin, time, user.id.as_str());
                    entry.platform_user = Some(user.identity());
                    entry.token_id = Some(session.subject());
                    write_act(tx, &entry).await?;
                    Ok(Done::unchanged((session, user.id, user.roles, started_at)))
                })
            })
            .await?;
        let subject = AccessSubject::Platform { id: &user, roles: &roles };
        Ok(self.access_token(&session, subject, started_at, ttl)?)
    }

    /// Begins a session of an org user and gives its access token. `person`: their e-mail or identifier.
    ///
    /// # Errors
    /// [`ActError`]: no such active person, or several with this address.
    pub async fn issue_org_token(&self, person: &str, ttl: Millis) -> Result<Issued, ActError> {
        let (email, time) = (person.to_owned(), self.clock.now());
        let (session, user, started_at) = self
            .act(move |tx| {
                let email = email.clone();
                Box::pin(async move {
                    let user = one_person(tx, &email).await?;
                    let (session, started_at) = begin_session(tx, user.as_str(), ttl).await?;
                    let mut entry = set_up(Event::TokenCreated, time, user.as_str());
                    entry.token_id = Some(session.subject());
                    to_orgs_of(tx, user.as_str(), &entry).await?;
                    Ok(Done::unchanged((session, user, started_at)))
                })
            })
            .await?;
        Ok(self.access_token(&session, AccessSubject::Org { id: &user }, started_at, ttl)?)
    }

    /// Makes an API token of a bot and gives it, once.
    ///
    /// # Errors
    /// [`ActError`].
    pub async fn issue_bot_token(&self, bot: &BotId, name: &str, ttl: Millis) -> Result<Issued, ActError> {
        let token = ApiToken::generate().ok_or(ActError::Token(TokenError::Signing))?;
        let (hash, bot, name, time) = (token.hash(), bot.clone(), name.to_owned(), self.clock.now());
        let expires_at = self
            .act(move |tx| {
                let (hash, bot, name) = (hash.clone(), bot.clone(), name.clone());
                Box::pin(async move {
                    let (id, expires_at) = (TokenId::random(), tx.now().await? + ttl);
                    tx.execute(
                        "INSERT INTO api_token (id, owner_id, name, hash, created_at, expires_at, revoked_at) \
                         VALUES ($1, $2, $3, $4, {now}, $5, NULL)",
                        &[
                            id.as_str().into(),
                            bot.as_str().into(),
                            name.into(),
                            hash.into(),
                            expires_at.into(),
                        ],
                    )
                    .await?;
                    let mut entry = set_up(Event::TokenCreated, time, bot.as_str());
                    entry.token_id = Some(id.subject());
                    entry.acting_bot_id = Some(bot.clone());
                    to_orgs_of(tx, bot.as_str(), &entry).await?;
                    Ok(Done::unchanged(expires_at))
                })
            })
            .await?;
        Ok(Issued { token: token.into_secret(), expires_at })
    }

    fn access_token(
        &self,
        session: &SessionId,
        subject: AccessSubject<'_>,
        started_at: Millis,
        ttl: Millis,
    ) -> Result<Issued, TokenError> {
        let expires_at = started_at + ttl;
        let token = self.tokens.access(&AccessGrant {
            session,
            subject,
            client_id: "drawbridge-operator",
            amr: &["operator".to_owned()],
            auth_time: started_at,
            issued_at: started_at,
            expires_at,
        })?;
        Ok(Issued { token, expires_at })
    }
}

/// Inserts a session that lives `ttl`; its id and beginning (whole seconds).
async fn begin_session(tx: &mut Tx, subject: &str, ttl: Millis) -> Result<(SessionId, Millis), StoreError> {
    let (id, started_at) = (SessionId::random(), tx.now().await?.div_euclid(1000) * 1000);
    tx.execute(
        "INSERT INTO session (id, subject_id, started_at, expires_at, ended_at, revoke_reason, client_id, amr, auth_time) \
         VALUES ($1, $2, $3, $4, NULL, NULL, 'drawbridge-operator', '[\"operator\"]', $3)",
        &[id.as_str().into(), subject.into(), started_at.into(), (started_at + ttl).into()],
    )
    .await?;
    Ok((id, started_at))
}

/// Writes an entry to the platform log, and to the log of each org that `subject` belongs to.
pub(super) async fn to_orgs_of(tx: &mut Tx, subject: &str, entry: &Entry) -> Result<(), StoreError> {
    let rows = tx.rows("SELECT org_id FROM membership WHERE subject_id = $1", &[subject.into()]).await?;
    if rows.is_empty() {
        return write_act(tx, entry).await;
    }
    for (number, row) in rows.iter().enumerate() {
        let mut entry = entry.clone();
        if number > 0 {
            // Entries of one request are told apart by what they are about, and not by the org.
            entry.request_id = RequestId::random();
        }
        entry.org_id = OrgId::parse(row.text(0)?).ok();
        entry.logs = Logs::Both;
        write_act(tx, &entry).await?;
    }
    Ok(())
}

/// Makes `subject` a member unless it is one with this role. `entry`: begun with who does it.
pub(super) async fn add_member(
    tx: &mut Tx,
    org: &OrgId,
    subject: &str,
    role: OrgRole,
    entry: Entry,
) -> Result<Vec<ChangeRecord>, ActError> {
    let there = tx
        .row(
            "SELECT role FROM membership WHERE org_id = $1 AND subject_id = $2",
            &[org.as_str().into(), subject.into()],
        )
        .await?;
    if let Some(row) = there {
        if row.text(0)? == role.as_str() {
            return Ok(Vec::new());
        }
        return Err(ActError::Invalid { member: "--role", fault: "is not the role that is there already" });
    }
    tx.execute(
        "INSERT INTO membership (org_id, subject_id, role) VALUES ($1, $2, $3)",
        &[org.as_str().into(), subject.into(), role.as_str().into()],
    )
    .await?;
    let mut entry = Entry { resource: Some(subject.to_owned()), ..entry };
    entry.org_id = Some(org.clone());
    entry.logs = Logs::Both;
    entry.details.insert("role".to_owned(), role.as_str().into());
    write_act(tx, &entry).await?;
    let subject = crate::domain::ids::Subject::from_stored(subject);
    Ok(vec![ChangeRecord { effect: Effect::Changed, subjects: vec![subject] }])
}
