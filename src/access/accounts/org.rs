//! Registering a customer's org over the API.

use crate::access::entries::{self, permitted};
use crate::access::transaction::{ActError, Done};
use crate::access::{Access, Known, NewOrg, RequestInfo};
use crate::audit::entry::{Logs, Stage};
use crate::audit::write_act;
use crate::domain::ids::OrgId;
use crate::domain::{Event, Org, OrgStatus, is_email, visible_length};
use crate::policy::Permit;
use crate::store::{ChangeRecord, Effect};

/// Letters of a short name at most.
const MAX_SLUG: usize = 63;
/// Characters of a name at most.
const MAX_NAME: i64 = 200;

/// As a label of a host name: lower-case letters, digits and hyphens, none at the ends.
fn is_slug(text: &str) -> bool {
    text.len() <= MAX_SLUG
        && !text.is_empty()
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn checked(new: &NewOrg) -> Result<(), ActError> {
    let named =
        |text: &str| (1..=MAX_NAME).contains(&visible_length(text)) && !text.chars().any(char::is_control);
    let invalid = |member, fault| Err(ActError::Invalid { member, fault });
    if !named(&new.name) {
        return invalid("name", "must be a name of 1 to 200 characters");
    }
    if !is_slug(&new.slug) {
        return invalid("slug", "must be 1 to 63 of `a-z 0-9 -`, with no hyphen at its ends");
    }
    if !named(&new.plan) {
        return invalid("plan", "must be a name of 1 to 200 characters");
    }
    if !is_email(&new.owner_email) {
        return invalid("owner_email", "is no e-mail address: write `name@host`");
    }
    Ok(())
}

impl Access {
    /// Registers an org. It begins with nobody in it, and its support access as `new` says.
    ///
    /// # Errors
    /// [`ActError`]: `Invalid` members, `Conflict` of the short name.
    pub async fn register_org(
        &self,
        permit: Permit,
        caller: &Known,
        new: NewOrg,
        request: &RequestInfo,
    ) -> Result<Org, ActError> {
        checked(&new)?;
        let id = OrgId::random();
        let mut entry = entries::entry(Event::OrgCreated, Stage::Act, Some(&caller.session), request);
        permitted(&mut entry, &permit);
        entry.org_id = Some(id.clone());
        entry.logs = Logs::Both;
        entry.status = Some(201);
        let again = self.again(&permit, caller, request);
        let org = Org {
            id,
            name: new.name,
            slug: new.slug,
            plan: new.plan,
            owner_email: new.owner_email,
            status: OrgStatus::Active,
            allow_platform_impersonation: new.allow_platform_impersonation,
        };
        let made = org.clone();
        self.act(move |tx| {
            let (org, entry, again) = (org.clone(), entry.clone(), again.clone());
            Box::pin(async move {
                again.judge(tx).await?;
                let made = tx
                    .execute(
                        "INSERT INTO org (id, name, slug, plan, owner_email, status, allow_platform_impersonation, created_at) \
                         VALUES ($1, $2, $3, $4, $5, 'active', $6, {now}) ON CONFLICT DO NOTHING",
                        &[
                            org.id.as_str().into(),
                            org.name.into(),
                            org.slug.into(),
                            org.plan.into(),
                            org.owner_email.into(),
                            org.allow_platform_impersonation.into(),
                        ],
                    )
                    .await?;
                if made == 0 {
                    return Err(ActError::Conflict("an org with this `slug`"));
                }
                write_act(tx, &entry).await?;
                let change = ChangeRecord { effect: Effect::Changed, subjects: vec![org.id.subject()] };
                Ok(Done::changed((), vec![change]))
            })
        })
        .await?;
        Ok(made)
    }
}
