//! Facts read from the records: sessions with the people behind them, and orgs.

use crate::domain::ids::{
    BotId, ImpersonationId, OrgId, OrgUserId, PlatformUserId, SessionId, Subject, TokenId,
};
use crate::domain::{
    Bot, Impersonation, Membership, Millis, Org, OrgRole, OrgStatus, OrgUser, PlatformUser, Principal,
    RevokeReason, Session,
};
use crate::identity::ApiToken;
use crate::store::{Row, StoreError, Tx};

fn corrupt(what: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(what.to_string())
}

fn ended(at: Option<Millis>, reason: Option<&str>) -> Result<Option<RevokeReason>, StoreError> {
    match (at, reason) {
        (None, _) => Ok(None),
        (Some(_), Some(name)) => {
            RevokeReason::from_name(name).map(Some).ok_or_else(|| corrupt(format!("revoke reason `{name}`")))
        }
        (Some(_), None) => Ok(Some(RevokeReason::EndedByActor)),
    }
}

/// The session with this key, as this transaction sees it; `None` if there never was one.
pub(super) async fn session(tx: &mut Tx, key: &Subject) -> Result<Option<Session>, StoreError> {
    if let Ok(id) = ImpersonationId::parse(key.as_str()) {
        return impersonation(tx, &id).await;
    }
    if let Ok(id) = SessionId::parse(key.as_str()) {
        return sign_in(tx, &id).await;
    }
    match TokenId::parse(key.as_str()) {
        Ok(id) => api_token(tx, &id).await,
        Err(_) => Ok(None),
    }
}

async fn sign_in(tx: &mut Tx, id: &SessionId) -> Result<Option<Session>, StoreError> {
    let row = tx
        .row(
            "SELECT subject_id, started_at, expires_at, ended_at, revoke_reason FROM session WHERE id = $1",
            &[id.as_str().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let subject = row.text(0)?;
    let principal = if let Ok(user) = PlatformUserId::parse(subject) {
        platform_user(tx, &user).await?.map(Principal::PlatformUser)
    } else {
        let user = OrgUserId::parse(subject).map_err(corrupt)?;
        org_user(tx, &user).await?.map(Principal::OrgUser)
    };
    let principal = principal.ok_or_else(|| corrupt(format!("session `{id}` of nobody")))?;
    Ok(Some(Session {
        key: id.subject(),
        principal,
        started_at: row.int(1)?,
        expires_at: row.int(2)?,
        ended: ended(row.opt_int(3)?, row.opt_text(4)?)?,
    }))
}

async fn api_token(tx: &mut Tx, id: &TokenId) -> Result<Option<Session>, StoreError> {
    let row = tx
        .row(
            "SELECT t.created_at, t.expires_at, t.revoked_at, b.id, b.name, b.active
             FROM api_token t JOIN bot b ON b.id = t.owner_id WHERE t.id = $1",
            &[id.as_str().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let bot = BotId::parse(row.text(3)?).map_err(corrupt)?;
    let memberships = memberships(tx, bot.as_str()).await?;
    Ok(Some(Session {
        key: id.subject(),
        principal: Principal::Bot(Bot {
            id: bot,
            token: id.clone(),
            name: row.text(4)?.to_owned(),
            active: row.int(5)? != 0,
            memberships,
        }),
        started_at: row.int(0)?,
        expires_at: row.opt_int(1)?.unwrap_or(i64::MAX),
        ended: row.opt_int(2)?.map(|_| RevokeReason::EndedByCustomer),
    }))
}

async fn impersonation(tx: &mut Tx, id: &ImpersonationId) -> Result<Option<Session>, StoreError> {
    let row = tx
        .row(
            "SELECT platform_user_id, org_id, role, slot, reason, ticket_ref, started_at, expires_at, ended_at, revoke_reason
             FROM impersonation WHERE id = $1",
            &[id.as_str().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let operator = PlatformUserId::parse(row.text(0)?).map_err(corrupt)?;
    let operator = platform_user(tx, &operator)
        .await?
        .ok_or_else(|| corrupt(format!("impersonation `{id}` of nobody")))?;
    Ok(Some(Session {
        key: id.subject(),
        principal: Principal::Impersonation(Box::new(Impersonation {
            id: id.clone(),
            operator,
            org: OrgId::parse(row.text(1)?).map_err(corrupt)?,
            role: role(row.text(2)?)?,
            slot: row.int(3)?,
            reason: row.text(4)?.to_owned(),
            ticket_ref: row.opt_text(5)?.map(str::to_owned),
        })),
        started_at: row.int(6)?,
        expires_at: row.int(7)?,
        ended: ended(row.opt_int(8)?, row.opt_text(9)?)?,
    }))
}

/// The key of the session that an API token belongs to.
pub(super) async fn api_token_key(tx: &mut Tx, token: &ApiToken) -> Result<Option<Subject>, StoreError> {
    let row = tx.row("SELECT id FROM api_token WHERE hash = $1", &[token.hash().into()]).await?;
    row.map(|row| Ok(TokenId::parse(row.text(0)?).map_err(corrupt)?.subject())).transpose()
}

/// A platform user.
pub(super) async fn platform_user(
    tx: &mut Tx,
    id: &PlatformUserId,
) -> Result<Option<PlatformUser>, StoreError> {
    let row = tx
        .row(
            "SELECT id, email, display_name, roles, disabled_at, password_change_required, enrolment_required \
             FROM platform_user WHERE id = $1",
            &[id.as_str().into()],
        )
        .await?;
    row.as_ref().map(|row| platform_user_of(row, 0)).transpose()
}

/// Columns `id, email, display_name, roles, disabled_at, password_change_required, enrolment_required`, from
/// column `at` on.
pub(super) fn platform_user_of(row: &Row, at: usize) -> Result<PlatformUser, StoreError> {
    Ok(PlatformUser {
        id: PlatformUserId::parse(row.text(at)?).map_err(corrupt)?,
        email: row.text(at + 1)?.to_owned(),
        display_name: row.text(at + 2)?.to_owned(),
        roles: serde_json::from_str(row.text(at + 3)?).map_err(corrupt)?,
        disabled: row.opt_int(at + 4)?.is_some(),
        password_change_required: row.int(at + 5)? != 0,
        enrolment_required: row.int(at + 6)? != 0,
    })
}

async fn org_user(tx: &mut Tx, id: &OrgUserId) -> Result<Option<OrgUser>, StoreError> {
    let row = tx
        .row(
            "SELECT email, display_name, active, site_admin FROM org_user WHERE id = $1",
            &[id.as_str().into()],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let rows = tx.rows(MEMBERSHIPS_OF_PERSON, &[id.as_str().into()]).await?;
    let memberships = rows.iter().map(membership).collect::<Result<_, StoreError>>()?;
    Ok(Some(OrgUser {
        id: id.clone(),
        email: row.text(0)?.to_owned(),
        display_name: row.text(1)?.to_owned(),
        active: row.int(2)? != 0,
        site_admin: row.int(3)? != 0,
        memberships,
    }))
}

async fn memberships(tx: &mut Tx, subject: &str) -> Result<Vec<Membership>, StoreError> {
    let rows = tx
        .rows("SELECT org_id, role FROM membership WHERE subject_id = $1 ORDER BY org_id", &[subject.into()])
        .await?;
    rows.iter().map(membership).collect()
}

/// Of who signs in with a provider, those in orgs that it speaks for.
const MEMBERSHIPS_OF_PERSON: &str = "SELECT m.org_id, m.role FROM membership m JOIN org o ON o.id = m.org_id \
     LEFT JOIN org_user_identity i ON i.org_user_id = m.subject_id \
     WHERE m.subject_id = $1 AND (i.issuer IS NULL OR EXISTS ( \
       SELECT 1 FROM provider_org p WHERE p.issuer = i.issuer AND p.org IN (o.slug, o.id))) ORDER BY m.org_id";

fn membership(row: &Row) -> Result<Membership, StoreError> {
    Ok(Membership { org: OrgId::parse(row.text(0)?).map_err(corrupt)?, role: role(row.text(1)?)? })
}

fn role(name: &str) -> Result<OrgRole, StoreError> {
    OrgRole::from_name(name).ok_or_else(|| corrupt(format!("role `{name}`")))
}

/// Columns of [`org_of`], in order.
pub(super) const ORG_COLUMNS: &str =
    "id, name, slug, plan, owner_email, status, allow_platform_impersonation";

/// An org.
pub(super) async fn org(tx: &mut Tx, id: &OrgId) -> Result<Option<Org>, StoreError> {
    let row = tx
        .row(
            "SELECT id, name, slug, plan, owner_email, status, allow_platform_impersonation FROM org WHERE id = $1",
            &[id.as_str().into()],
        )
        .await?;
    row.as_ref().map(org_of).transpose()
}

/// Reads an org from [`ORG_COLUMNS`].
pub(super) fn org_of(row: &Row) -> Result<Org, StoreError> {
    Ok(Org {
        id: OrgId::parse(row.text(0)?).map_err(corrupt)?,
        name: row.text(1)?.to_owned(),
        slug: row.text(2)?.to_owned(),
        plan: row.text(3)?.to_owned(),
        owner_email: row.text(4)?.to_owned(),
        status: match row.text(5)? {
            "active" => OrgStatus::Active,
            "suspended" => OrgStatus::Suspended,
            "deleted" => OrgStatus::Deleted,
            other => return Err(corrupt(format!("org status `{other}`"))),
        },
        allow_platform_impersonation: row.int(6)? != 0,
    })
}
