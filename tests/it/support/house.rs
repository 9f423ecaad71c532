//! The parts of a gateway in this process, composed as the program composes them, on a data folder of
//! their own. Acts are called as handlers call them: with a permit that the shipped policies gave.

use super::postgres::{self, Database};
use drawbridge::access::{
    Access, ActError, DisableRequest, Disabled, Ended, Following, Known, MintRequest, Minted, NewOrg,
    NewPerson, Reason, RequestInfo, SupportAccess,
};
use drawbridge::app::{Composition, compose};
use drawbridge::audit::query::{Filter, Log};
use drawbridge::config::{AccessLogTo, Config};
use drawbridge::domain::ids::{ImpersonationId, OrgId, PlatformUserId, RequestId};
use drawbridge::domain::{OrgRole, Principal};
use drawbridge::policy::{Decision, Permit, Question};
use drawbridge::store::db::migrate;
use drawbridge::store::{Db, DbOptions, PostgresOptions};
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

/// How long credentials of the house count, milliseconds.
const TTL: i64 = 3_600_000;

/// A gateway's parts, an org that allows support access, and its owner.
pub(crate) struct House {
    pub(crate) parts: Composition,
    pub(crate) org: OrgId,
    pub(crate) owner: String,
    pub(crate) folder: Arc<tempfile::TempDir>,
    /// On PostgreSQL: where the records are.
    database: Option<Arc<Database<'static>>>,
    /// On PostgreSQL: keeps the lease.
    _following: Option<Following>,
}

/// Where a house keeps its records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

/// A platform admin and a token of theirs.
#[derive(Clone)]
pub(crate) struct Staff {
    pub(crate) id: PlatformUserId,
    pub(crate) token: String,
}

impl House {
    /// The policies and schemas that are shipped, and no limit on how often one may mint.
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        Self::build(folder, None, adjust).await
    }

    /// On either engine.
    pub(crate) async fn on(engine: Engine) -> Self {
        if engine == Engine::Sqlite {
            return Self::open().await;
        }
        let database = migrated().await;
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        std::fs::create_dir(folder.path().join("data")).expect("a folder for the key");
        Self::build(folder, Some(Arc::new(database)), |_| {}).await.following()
    }

    /// Another gateway on the same records. PostgreSQL only.
    pub(crate) async fn beside(&self) -> Self {
        let database = self.database.clone().expect("records that several gateways share");
        Self::build(self.folder.clone(), Some(database), |_| {}).await.following()
    }

    /// Keeps its lease itself: no gateway is started that would.
    fn following(mut self) -> Self {
        self._following = self.parts.access.follow().expect("a lease");
        self
    }

    async fn build(
        folder: Arc<tempfile::TempDir>,
        database: Option<Arc<Database<'static>>>,
        adjust: impl FnOnce(&mut Config),
    ) -> Self {
        let data = folder.path().join("data");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut config = Config::defaults(&data);
        config.data.dir.clone_from(&data);
        config.data.master_key_file = data.join("master.key");
        config.policy.policies = sources.join("policies");
        config.policy.schemas = sources.join("schemas");
        config.policy.watch = false;
        config.impersonation.mint_per_minute = 1_000_000;
        config.log.access = AccessLogTo::Off;
        config.database.url = database.as_ref().map(|d| d.url().parse().expect("a URL"));
        adjust(&mut config);
        let parts = compose(config).await.expect("the parts compose");
        let org = parts
            .access
            .provision_org(NewOrg {
                slug: "acme".to_owned(),
                name: "Acme Corporation".to_owned(),
                plan: "business".to_owned(),
                owner_email: "owner@acme.example".to_owned(),
                allow_platform_impersonation: true,
                auto_add_new_users: false,
            })
            .await
            .expect("an org");
        let person = person("owner@acme.example");
        parts.access.provision_org_user(person, org.clone(), OrgRole::Owner).await.expect("an owner");
        let owner = parts.access.issue_org_token("owner@acme.example", TTL).await.expect("a token");
        let owner = owner.token.expose().to_owned();
        Self { parts, org, owner, folder, database, _following: None }
    }

    pub(crate) fn access(&self) -> &Arc<Access> {
        &self.parts.access
    }

    /// A platform admin, made if there is none, with a new token.
    pub(crate) async fn staff(&self, email: &str) -> Staff {
        let roles = vec!["platform-admin".to_owned()];
        let id = self.access().provision_platform_user(person(email), roles).await.expect("an account");
        let token = self.access().issue_platform_token(email, TTL).await.expect("a token");
        Staff { id, token: token.token.expose().to_owned() }
    }

    /// The records themselves, as an operator's command opens them.
    pub(crate) async fn db(&self) -> Db {
        let options = match &self.database {
            None => DbOptions { exclusive: false, ..DbOptions::new(self.folder.path().join("data")) },
            Some(database) => DbOptions::postgres(PostgresOptions::new(database.url())),
        };
        Db::open(options).await.expect("the records")
    }

    /// The session of a token, whatever its state.
    pub(crate) async fn known(&self, token: &str) -> Arc<Known> {
        self.access().authenticate(token).await.expect("a token of ours").known
    }

    /// What the gate would say before the handler of `action` is called.
    pub(crate) async fn permit(&self, who: &Known, action: &str, org: bool) -> Result<Permit, ActError> {
        let org = if org { Some(self.access().org(&self.org).await.expect("the org")) } else { None };
        let request = request(action);
        let snapshot = self.parts.policy.snapshot();
        let question = Question {
            session: Some(&who.session),
            action: snapshot.action(action).unwrap_or_else(|| panic!("no action {action}")),
            org: org.as_deref(),
            resource_id: None,
            context: &request.context(self.parts.clock.now(), &who.session),
            prepared: None,
        };
        match snapshot.decide(&question) {
            Decision::Permit(permit) => Ok(permit),
            Decision::Denied(denial) => Err(denial.into()),
        }
    }

    pub(crate) async fn mint(&self, token: &str) -> Result<Minted, ActError> {
        self.mint_with(token, "cameras offline since 03:00", None).await
    }

    pub(crate) async fn mint_with(
        &self,
        token: &str,
        reason: &str,
        key: Option<&str>,
    ) -> Result<Minted, ActError> {
        let who = self.known(token).await;
        let permit = self.permit(&who, "call", false).await?;
        let asked = MintRequest {
            org: self.org.clone(),
            reason: Reason::new(Some(reason)),
            ticket_ref: None,
            idempotency_key: key.map(str::to_owned),
        };
        self.access().mint(permit, &who, asked, &request("mint")).await
    }

    pub(crate) async fn end(&self, token: &str, id: &ImpersonationId) -> Result<Ended, ActError> {
        let who = self.known(token).await;
        let permit = self.permit(&who, "endImpersonation", false).await?;
        self.access().end_own(permit, &who, Some(id.clone()), &request("end")).await
    }

    /// The owner's switch.
    pub(crate) async fn switch(&self, allow: bool) -> Result<SupportAccess, ActError> {
        let who = self.known(&self.owner).await;
        let permit = self.permit(&who, "setSupportAccess", true).await?;
        self.access().set_support_access(permit, &who, &self.org, allow, &request("switch")).await
    }

    pub(crate) async fn disable(&self, token: &str, user: &PlatformUserId) -> Result<Disabled, ActError> {
        let who = self.known(token).await;
        let permit = self.permit(&who, "call", false).await?;
        let asked = DisableRequest {
            user: user.clone(),
            reason: Reason::new(Some("left the company")),
            ticket_ref: None,
            cause: None,
            approved_by: None,
        };
        self.access().disable(permit, &who, asked, &request("disable")).await
    }

    pub(crate) async fn enable(&self, token: &str, user: &PlatformUserId) {
        let who = self.known(token).await;
        let permit = self.permit(&who, "enablePlatformUser", false).await.expect("may enable");
        let reason = Reason::new(Some("back again"));
        let enabled = self.access().enable(permit, &who, user.clone(), reason, &request("enable")).await;
        enabled.expect("is enabled");
    }

    /// The place that a grant holds, and whether it is live.
    pub(crate) async fn slot(&self, minted: &Minted) -> (i64, bool) {
        let known = self.known(minted.token.expose()).await;
        let Principal::Impersonation(grant) = &known.session.principal else { panic!("not a grant") };
        (grant.slot, known.session.ended.is_none())
    }

    /// How many grants of the org are live, by the records.
    pub(crate) async fn live(&self) -> i64 {
        self.access().live_impersonations().await.expect("a count")
    }

    /// The entries of an event in the org's log and in the platform's, newest first.
    pub(crate) async fn both_logs(&self, event: &str) -> [Vec<Value>; 2] {
        let logs = [Log::Org(self.org.clone()), Log::Platform];
        let mut both = [Vec::new(), Vec::new()];
        for (log, items) in logs.iter().zip(&mut both) {
            let filter = Filter { event: Some(event.to_owned()), ..Filter::default() };
            let mut cursor = None;
            loop {
                let page = self.access().audit_page(log, &filter, 500, cursor.as_deref()).await;
                let page = page.expect("a log").expect("a page");
                items.extend(page.items);
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        both
    }

    /// Every grant that was started has ended once, for `reason`, in both logs; how many there were.
    pub(crate) async fn all_ended_once(&self, reason: &str) -> usize {
        let started = self.both_logs("platform.impersonation_started").await;
        let ended = self.both_logs("platform.impersonation_ended").await;
        let ids = |entries: &[Value]| {
            let mut ids: Vec<_> =
                entries.iter().map(|e| e["impersonation_id"].as_str().expect("an id").to_owned()).collect();
            ids.sort();
            ids
        };
        let grants = ids(&started[0]);
        assert_eq!(grants, ids(&started[1]), "both logs tell the same beginnings");
        for log in &ended {
            assert_eq!(grants, ids(log), "each beginning has one end");
            for entry in log {
                assert_eq!(entry["revoke_reason"], reason, "{entry}");
            }
        }
        assert_eq!(self.live().await, 0);
        grants.len()
    }
}

/// A database with tables.
pub(crate) async fn migrated() -> Database<'static> {
    let database = postgres::shared().database();
    let owner = PostgresOptions::new(database.owner_url());
    migrate(&owner, &PostgresOptions::new(database.url())).await.expect("tables");
    database
}

fn person(email: &str) -> NewPerson {
    NewPerson { email: email.to_owned(), display_name: email.to_owned() }
}

/// What an act is told of its request.
pub(crate) fn request(what: &str) -> RequestInfo {
    RequestInfo {
        id: RequestId::random(),
        time: 0,
        method: "POST".to_owned(),
        path: format!("/test/{what}"),
        query_keys: Vec::new(),
        source_address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        user_agent: None,
    }
}

/// The code of a refusal.
pub(crate) fn code<T>(result: &Result<T, ActError>) -> &str {
    match result {
        Ok(_) => "ok",
        Err(ActError::Refused(denial)) => &denial.code,
        Err(ActError::RateLimited { .. }) => "RATE_LIMITED",
        Err(ActError::Invalid { member, .. }) => member,
        Err(other) => panic!("{other}"),
    }
}
