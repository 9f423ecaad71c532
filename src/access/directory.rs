//! What may be looked up about orgs, impersonations and platform users. Metadata only.

use super::entries::{self, permitted};
use super::records::{self, ORG_COLUMNS};
use super::transaction::{ActError, Done};
use super::{Access, Known, RequestInfo};
use crate::audit::entry::Stage;
use crate::audit::query::{self, Filter, Log, Page};
use crate::audit::write_act;
use crate::domain::ids::{OrgId, PlatformUserId};
use crate::domain::{Event, Millis, Org};
use crate::policy::Permit;
use crate::store::{Row, StoreError, Value};

/// What to list of the orgs.
#[derive(Debug, Clone, Default)]
pub struct OrgSearch {
    /// Part of the name, slug or owner's e-mail, without regard to case.
    pub text: Option<String>,
    /// At most this many.
    pub limit: usize,
    /// Where the page before ended: the last id.
    pub after: Option<String>,
}

/// One page.
#[derive(Debug, Clone)]
pub struct Paged<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// Cursor of the next page.
    pub next: Option<String>,
}

/// An impersonation as the lists show it.
#[derive(Debug, Clone)]
pub struct ImpersonationRecord {
    /// Which.
    pub id: String,
    /// Where.
    pub org_id: String,
    /// By whom.
    pub platform_user_id: String,
    /// The role.
    pub role: String,
    /// Why.
    pub reason: String,
    /// Ticket.
    pub ticket_ref: Option<String>,
    /// From.
    pub started_at: Millis,
    /// Until.
    pub expires_at: Millis,
    /// Over since.
    pub ended_at: Option<Millis>,
    /// Why it is over.
    pub revoke_reason: Option<String>,
    /// Requests recorded under it.
    pub requests: i64,
}

/// A platform account as the lists show it.
#[derive(Debug, Clone)]
pub struct PlatformUserRecord {
    /// Who.
    pub id: String,
    /// E-mail.
    pub email: String,
    /// Name.
    pub display_name: String,
    /// Roles.
    pub roles: Vec<String>,
    /// Disabled since.
    pub disabled_at: Option<Millis>,
    /// When the account was made.
    pub created_at: Millis,
}

/// Cuts a page out of `limit + 1` rows.
pub(super) fn paged<T>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Paged<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(cursor) } else { None };
    Paged { items, next }
}

fn user_record(row: &Row) -> Result<PlatformUserRecord, StoreError> {
    Ok(PlatformUserRecord {
        id: row.text(0)?.to_owned(),
        email: row.text(1)?.to_owned(),
        display_name: row.text(2)?.to_owned(),
        roles: serde_json::from_str(row.text(3)?).map_err(|e| StoreError::Corrupt(e.to_string()))?,
        disabled_at: row.opt_int(4)?,
        created_at: row.int(5)?,
    })
}

fn escape_like(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('%');
    for c in text.to_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('%');
    out
}

impl Access {
    /// Lists and searches orgs; recorded as `platform.orgs_read`.
    ///
    /// # Errors
    /// [`ActError::Store`].
    pub async fn list_orgs(
        &self,
        permit: Permit,
        caller: &Known,
        search: OrgSearch,
        request: &RequestInfo,
    ) -> Result<Paged<Org>, ActError> {
        let mut entry = entries::entry(Event::OrgsRead, Stage::Act, Some(&caller.session), request);
        permitted(&mut entry, &permit);
        entry.status = Some(200);
        self.act(move |tx| {
            let (search, entry) = (search.clone(), entry.clone());
            Box::pin(async move {
                let like = search.text.as_deref().map_or_else(|| "%".to_owned(), escape_like);
                let sql = format!(
                    "SELECT {ORG_COLUMNS} FROM org WHERE (lower(name) LIKE $1 ESCAPE '\\' OR lower(slug) LIKE $1 ESCAPE '\\' \
                     OR lower(owner_email) LIKE $1 ESCAPE '\\') AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3"
                );
                let limit = i64::try_from(search.limit + 1).unwrap_or(i64::MAX);
                let args = [like.into(), search.after.unwrap_or_default().into(), limit.into()];
                let rows = tx.rows_dynamic(sql, &args).await?;
                let orgs = rows.iter().map(records::org_of).collect::<Result<Vec<_>, StoreError>>()?;
                write_act(tx, &entry).await?;
                Ok(Done::unchanged(paged(orgs, search.limit, |org| org.id.to_string())))
            })
        })
        .await
    }

    /// The impersonations of a platform user (their own), newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn impersonations_of_user(
        &self,
        user: &PlatformUserId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Paged<ImpersonationRecord>, StoreError> {
        self.impersonations("platform_user_id", user.as_str(), limit, after).await
    }

    /// The impersonations of an org, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn impersonations_of_org(
        &self,
        org: &OrgId,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Paged<ImpersonationRecord>, StoreError> {
        self.impersonations("org_id", org.as_str(), limit, after).await
    }

    async fn impersonations(
        &self,
        column: &'static str,
        value: &str,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Paged<ImpersonationRecord>, StoreError> {
        let mut tx = self.db.read().await?;
        let sql = format!(
            "SELECT id, org_id, platform_user_id, role, reason, ticket_ref, started_at, expires_at, ended_at, revoke_reason, seq \
             FROM impersonation WHERE {column} = $1 AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3"
        );
        let fetch = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let rows = tx
            .rows_dynamic(sql, &[value.into(), after.unwrap_or_default().into(), Value::Int(fetch)])
            .await?;
        let items = rows
            .iter()
            .map(|row| {
                Ok(ImpersonationRecord {
                    id: row.text(0)?.to_owned(),
                    org_id: row.text(1)?.to_owned(),
                    platform_user_id: row.text(2)?.to_owned(),
                    role: row.text(3)?.to_owned(),
                    reason: row.text(4)?.to_owned(),
                    ticket_ref: row.opt_text(5)?.map(str::to_owned),
                    started_at: row.int(6)?,
                    expires_at: row.int(7)?,
                    ended_at: row.opt_int(8)?,
                    revoke_reason: row.opt_text(9)?.map(str::to_owned),
                    requests: row.int(10)?,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok(paged(items, limit, |record| record.id.clone()))
    }

    /// All platform accounts, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn platform_users(
        &self,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Paged<PlatformUserRecord>, StoreError> {
        let mut tx = self.db.read().await?;
        let fetch = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let rows = tx
            .rows(
                "SELECT id, email, display_name, roles, disabled_at, created_at FROM platform_user \
                 WHERE $1 = '' OR id < $1 ORDER BY id DESC LIMIT $2",
                &[after.unwrap_or_default().into(), fetch.into()],
            )
            .await?;
        let items = rows.iter().map(user_record).collect::<Result<Vec<_>, StoreError>>()?;
        Ok(paged(items, limit, |record| record.id.clone()))
    }

    /// One platform account; `None` if there is none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn platform_user(&self, id: &PlatformUserId) -> Result<Option<PlatformUserRecord>, StoreError> {
        let mut tx = self.db.read().await?;
        let row = tx
            .row(
                "SELECT id, email, display_name, roles, disabled_at, created_at FROM platform_user WHERE id = $1",
                &[id.as_str().into()],
            )
            .await?;
        row.as_ref().map(user_record).transpose()
    }

    /// One page of a log; `None` for a cursor that isn't one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_page(
        &self,
        log: &Log,
        filter: &Filter,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Option<Page>, StoreError> {
        let mut tx = self.db.read().await?;
        query::page(&mut tx, log, filter, limit, cursor).await
    }

    /// How many impersonations are live, for metrics.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn live_impersonations(&self) -> Result<i64, StoreError> {
        let mut tx = self.db.read().await?;
        let row = tx
            .row("SELECT count(*) FROM impersonation WHERE ended_at IS NULL AND expires_at > {now}", &[])
            .await?;
        row.map_or(Ok(0), |row| row.int(0))
    }
}
