//! Many people of one org, each signed in once: written straight into the records, since signing them in one by
//! one would take minutes.

use super::fixture::{Fixture, TTL};
use drawbridge::domain::ids::{OrgUserId, SessionId};
use drawbridge::identity::{AccessGrant, AccessSubject, Tokens};
use drawbridge::store::{Db, DbOptions};
use http::HeaderValue;

/// How many sessions.
pub(crate) const SESSIONS: usize = 100_000;
/// In one transaction.
const BATCH: usize = 2_000;

/// Makes them; what each presents.
pub(crate) async fn sign_in(fixture: &Fixture, count: usize) -> Vec<HeaderValue> {
    let parts = &fixture.parts;
    // Beside the gateway, as an operator's command has it.
    let options = DbOptions { exclusive: false, ..DbOptions::new(parts.config.data.dir.clone()) };
    let db = Db::open(options).await.unwrap();
    let tokens = Tokens::new(parts.keys.clone(), parts.access.issuer());
    let now = parts.clock.now().div_euclid(1000) * 1000;
    let mut presented = Vec::with_capacity(count);
    while presented.len() < count {
        let mut tx = db.write().await.unwrap();
        for _ in 0..BATCH.min(count - presented.len()) {
            let (person, session) = (OrgUserId::random(), SessionId::random());
            let email = format!("person-{:06}@acme.example", presented.len());
            let name = format!("Person {:06}", presented.len());
            let (id, key) = (person.as_str(), session.as_str());
            tx.execute(
                "INSERT INTO org_user (id, email, display_name, active, created_at) VALUES ($1, $2, $3, 1, $4)",
                &[id.into(), email.into(), name.into(), now.into()],
            )
            .await
            .unwrap();
            tx.execute(
                "INSERT INTO membership (org_id, subject_id, role) VALUES ($1, $2, 'operator')",
                &[fixture.org.as_str().into(), id.into()],
            )
            .await
            .unwrap();
            tx.execute(
                "INSERT INTO session (id, subject_id, started_at, expires_at) VALUES ($1, $2, $3, $4)",
                &[key.into(), id.into(), now.into(), (now + TTL).into()],
            )
            .await
            .unwrap();
            let token = tokens.access(&AccessGrant {
                session: &session,
                subject: AccessSubject::Org { id: &person },
                client_id: "bench",
                amr: &[],
                auth_time: now,
                issued_at: now,
                expires_at: now + TTL,
            });
            let value = format!("Bearer {}", token.unwrap().expose());
            presented.push(HeaderValue::try_from(value).unwrap());
        }
        tx.commit().await.unwrap();
    }
    presented
}
