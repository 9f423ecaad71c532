//! Which orgs a provider speaks for, from the configuration into the records: there it bounds what memberships count.

use crate::access::Access;
use crate::access::transaction::{ActError, Done};
use crate::domain::ids::Subject;
use crate::store::{ChangeRecord, Effect, StoreError, Tx};
use std::collections::BTreeSet;

/// At most so many people in one change record.
const AT_ONCE: usize = 500;

type Bindings = BTreeSet<(String, String)>;

impl Access {
    /// Puts the configuration's bindings in force. Whose provider gained or lost an org is looked at anew everywhere.
    ///
    /// # Errors
    /// [`ActError::Store`].
    pub async fn bind_providers(&self) -> Result<(), ActError> {
        let providers = self.federation.providers.iter();
        let wanted: Bindings = providers
            .flat_map(|p| p.orgs.iter().map(|org| (p.provider.issuer().to_owned(), org.clone())))
            .collect();
        self.act(move |tx| {
            let wanted = wanted.clone();
            Box::pin(async move {
                let there = bindings(tx).await?;
                let issuers: BTreeSet<&String> =
                    there.symmetric_difference(&wanted).map(|(issuer, _)| issuer).collect();
                for (issuer, org) in there.difference(&wanted) {
                    let sql = "DELETE FROM provider_org WHERE issuer = $1 AND org = $2";
                    tx.execute(sql, &[issuer.as_str().into(), org.as_str().into()]).await?;
                }
                for (issuer, org) in wanted.difference(&there) {
                    let sql = "INSERT INTO provider_org (issuer, org) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                    tx.execute(sql, &[issuer.as_str().into(), org.as_str().into()]).await?;
                }
                let mut changes = Vec::new();
                for issuer in issuers {
                    let sql = "SELECT org_user_id FROM org_user_identity WHERE issuer = $1";
                    let rows = tx.rows(sql, &[issuer.as_str().into()]).await?;
                    for people in rows.chunks(AT_ONCE) {
                        let subjects = people.iter().map(|row| Ok(Subject::from_stored(row.text(0)?)));
                        let subjects = subjects.collect::<Result<_, StoreError>>()?;
                        changes.push(ChangeRecord { effect: Effect::Changed, subjects });
                    }
                }
                Ok(Done::changed((), changes))
            })
        })
        .await
    }
}

async fn bindings(tx: &mut Tx) -> Result<Bindings, StoreError> {
    let rows = tx.rows("SELECT issuer, org FROM provider_org", &[]).await?;
    rows.iter().map(|row| Ok((row.text(0)?.to_owned(), row.text(1)?.to_owned()))).collect()
}
