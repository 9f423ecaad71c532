//! Whom an operator means by an address. Anybody's provider can say that it is theirs, so it isn't enough by itself.

use super::federation::Federation;
use super::transaction::ActError;
use crate::domain::email_key;
use crate::domain::ids::{OrgId, OrgUserId};
use crate::store::{Row, StoreError, Tx};

/// The person with this address whom an org may mean by it: one whose provider speaks for the org; else one who has
/// never signed in, and could by one provider for all their orgs and this one. Their row is locked.
///
/// # Errors
/// [`ActError::Invalid`] for several.
pub(super) async fn person_for(
    tx: &mut Tx,
    federation: &Federation,
    email: &str,
    org: &OrgId,
) -> Result<Option<OrgUserId>, ActError> {
    let candidates = "SELECT id FROM org_user WHERE email = $1 ORDER BY id {for_update}";
    let candidates = tx.rows(candidates, &[email.into()]).await?;
    let slug = tx.row("SELECT slug, id FROM org WHERE id = $1", &[org.as_str().into()]).await?;
    let Some(here) = slug.as_ref().map(named).transpose()? else { return Ok(None) };
    let (mut known, mut waiting) = (Vec::new(), Vec::new());
    for row in &candidates {
        let id = row.text(0)?;
        let identity = "SELECT issuer FROM org_user_identity WHERE org_user_id = $1";
        if let Some(identity) = tx.row(identity, &[id.into()]).await? {
            if federation.speaks_for(identity.text(0)?, &here) {
                known.push(id.to_owned());
            }
            continue;
        }
        let orgs =
            "SELECT o.slug, o.id FROM membership m JOIN org o ON o.id = m.org_id WHERE m.subject_id = $1";
        let rows = tx.rows(orgs, &[id.into()]).await?;
        let mut orgs = rows.iter().map(named).collect::<Result<Vec<_>, StoreError>>()?;
        orgs.push(here.clone());
        if federation.speaks_for_all(&orgs) || !federation.speaks_for_any(&orgs) {
            waiting.push(id.to_owned());
        }
    }
    match if known.is_empty() { waiting } else { known }.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(OrgUserId::parse(one).map_err(|e| StoreError::Corrupt(e.to_string()))?)),
        _ => Err(ActError::Invalid {
            member: "--email",
            fault: "is the address of several people of the org's provider; ask them to sign in with one account",
        }),
    }
}

/// Columns `slug, id`.
fn named(row: &Row) -> Result<(String, String), StoreError> {
    Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))
}

/// The one active person with this address or identifier.
pub(super) async fn one_person(tx: &mut Tx, email_or_id: &str) -> Result<OrgUserId, ActError> {
    let sql = "SELECT id FROM org_user WHERE (email = $1 OR id = $2) AND active = 1 LIMIT 2";
    let rows = tx.rows(sql, &[email_key(email_or_id).into(), email_or_id.into()]).await?;
    match rows.as_slice() {
        [one] => Ok(OrgUserId::parse(one.text(0)?).map_err(|e| StoreError::Corrupt(e.to_string()))?),
        [] => Err(ActError::NotFound("active person")),
        _ => Err(ActError::Invalid {
            member: "--org-user",
            fault: "is the address of several people: give the id of one",
        }),
    }
}
