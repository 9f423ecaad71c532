//! An act that the gate has permitted, and that waits for its locks while its caller loses the right to it:
//! it asks the policies again under them, and does nothing.
//!
//! Nothing is left to timing. The permit is made first; then another connection holds the writer's lock, takes
//! the right away and commits while the act, which has begun, can't be further than before its lock.

use crate::support::{House, code, request};
use drawbridge::access::{ActError, DisableRequest, Known, MintRequest, Minted, Reason};
use drawbridge::domain::ids::PlatformUserId;
use drawbridge::policy::Permit;
use drawbridge::store::{Db, DbOptions};
use futures_util::FutureExt as _;
use std::pin::pin;
use std::sync::Arc;

const DEMOTED: &str = "UPDATE membership SET role = 'viewer' WHERE org_id = $1";
const DEACTIVATED: &str =
    "UPDATE org_user SET active = 0 WHERE id IN (SELECT subject_id FROM membership WHERE org_id = $1)";
const SIGNED_OUT: &str = "UPDATE session SET ended_at = {now}, revoke_reason = 'logout' \
     WHERE subject_id IN (SELECT subject_id FROM membership WHERE org_id = $1)";
const STAFF_DISABLED: &str = "UPDATE platform_user SET disabled_at = {now} WHERE id = $1";
const STAFF_DEMOTED: &str = "UPDATE platform_user SET roles = '[\"engineer\"]' WHERE id = $1";
const STAFF_SIGNED_OUT: &str =
    "UPDATE session SET ended_at = {now}, revoke_reason = 'logout' WHERE subject_id = $1";

struct Scene {
    house: House,
    /// Beside the gateway, as an operator's command is.
    beside: Db,
}

/// A caller with the gate's permit for what they are about to do.
struct Caller(Arc<Known>, Permit);

impl Scene {
    async fn open() -> Self {
        let house = House::open().await;
        let options = DbOptions { exclusive: false, ..DbOptions::new(house.folder.path().join("data")) };
        Self { beside: Db::open(options).await.unwrap(), house }
    }

    async fn caller(&self, token: &str, action: &str, org: bool) -> Caller {
        let known = self.house.known(token).await;
        let permit = self.house.permit(&known, action, org).await.expect("the gate permits it");
        Caller(known, permit)
    }

    /// Begins `act`, commits `sql` about `subject` while it waits, and gives what became of it.
    async fn overtaken<T>(
        &self,
        act: impl Future<Output = Result<T, ActError>>,
        sql: &'static str,
        subject: &str,
    ) -> Result<T, ActError> {
        let mut act = pin!(act);
        let mut tx = self.beside.write().await.unwrap();
        assert!(act.as_mut().now_or_never().is_none(), "it waits for the writer's lock");
        assert!(tx.execute(sql, &[subject.into()]).await.unwrap() > 0, "{sql}");
        assert!(act.as_mut().now_or_never().is_none(), "it waits for the writer's lock");
        tx.commit().await.unwrap();
        act.await
    }

    async fn is_live(&self, minted: &Minted) -> bool {
        self.house.slot(minted).await.1
    }

    async fn is_disabled(&self, user: &PlatformUserId) -> bool {
        let sql = "SELECT disabled_at FROM platform_user WHERE id = $1";
        let mut tx = self.beside.read().await.unwrap();
        tx.row(sql, &[user.as_str().into()]).await.unwrap().unwrap().opt_int(0).unwrap().is_some()
    }
}

const OF_THE_CUSTOMER: [(&str, &str); 3] =
    [(DEMOTED, "OWNER_ONLY"), (DEACTIVATED, "ACCOUNT_INACTIVE"), (SIGNED_OUT, "SESSION_ENDED")];
const OF_STAFF: [(&str, &str); 3] = [
    (STAFF_DISABLED, "ACCOUNT_DISABLED"),
    (STAFF_DEMOTED, "PLATFORM_ACCESS_DENIED"),
    (STAFF_SIGNED_OUT, "SESSION_ENDED"),
];

#[tokio::test]
async fn an_owner_who_is_one_no_more_switches_nothing() {
    for (sql, wanted) in OF_THE_CUSTOMER {
        for allow in [false, true] {
            let scene = Scene::open().await;
            let staff = scene.house.staff("one@vendor.example").await;
            let grant = scene.house.mint(&staff.token).await.unwrap();
            if allow {
                scene.house.switch(false).await.unwrap();
            }
            let Caller(known, permit) = scene.caller(&scene.house.owner, "setSupportAccess", true).await;
            let (org, request) = (&scene.house.org, request("switch"));
            let act = scene.house.access().set_support_access(permit, &known, org, allow, &request);
            let result = scene.overtaken(act, sql, org.as_str()).await;
            assert_eq!(code(&result), wanted, "{sql}, to {allow}");
            let facts = scene.house.access().org(org).await.unwrap();
            assert_eq!(facts.allow_platform_impersonation, !allow, "{sql}, to {allow}");
            assert_eq!(scene.is_live(&grant).await, !allow, "{sql}, to {allow}");
        }
    }
}

#[tokio::test]
async fn an_admin_who_is_one_no_more_ends_nobodys_grant() {
    for (sql, wanted) in OF_THE_CUSTOMER {
        let scene = Scene::open().await;
        let staff = scene.house.staff("one@vendor.example").await;
        let grant = scene.house.mint(&staff.token).await.unwrap();
        let Caller(known, permit) = scene.caller(&scene.house.owner, "endOrgImpersonation", true).await;
        let (org, request) = (&scene.house.org, request("end"));
        let act = scene.house.access().end_by_customer(permit, &known, org, grant.id.clone(), &request);
        let result = scene.overtaken(act, sql, org.as_str()).await;
        // A viewer's refusal has no rule of its own.
        let wanted = if wanted == "OWNER_ONLY" { "POLICY_DENIED" } else { wanted };
        assert_eq!(code(&result), wanted, "{sql}");
        assert!(scene.is_live(&grant).await, "{sql}");
    }
}

#[tokio::test]
async fn staff_who_lost_their_rights_neither_disable_nor_enable_nor_mint() {
    for (sql, wanted) in OF_STAFF {
        let scene = Scene::open().await;
        let house = &scene.house;
        let (one, two) = (house.staff("one@vendor.example").await, house.staff("two@vendor.example").await);
        let third = house.staff("three@vendor.example").await;
        house.disable(&third.token, &two.id).await.unwrap();
        let (access, me) = (house.access(), one.id.as_str());

        let Caller(known, permit) = scene.caller(&one.token, "enablePlatformUser", false).await;
        let (reason, about) = (Reason::new(Some("back again")), request("enable"));
        let enable = access.enable(permit, &known, two.id.clone(), reason, &about);
        let Caller(known, permit) = scene.caller(&one.token, "call", false).await;
        let asked = DisableRequest {
            user: third.id.clone(),
            reason: Reason::new(Some("left the company")),
            ticket_ref: None,
            cause: None,
            approved_by: None,
        };
        let about = request("disable");
        let disable = access.disable(permit, &known, asked, &about);
        let Caller(known, permit) = scene.caller(&one.token, "call", false).await;
        let asked = MintRequest {
            org: house.org.clone(),
            reason: Reason::new(Some("cameras offline since 03:00")),
            ticket_ref: None,
            idempotency_key: None,
        };
        let about = request("mint");
        let mint = access.mint(permit, &known, asked, &about);

        // All three are permitted by the gate before any of them waits.
        assert_eq!(code(&scene.overtaken(enable, sql, me).await), wanted, "{sql}");
        assert!(scene.is_disabled(&two.id).await, "{sql}");
        assert_eq!(code(&disable.await), wanted, "{sql}");
        assert!(!scene.is_disabled(&third.id).await, "{sql}");
        // Whom a mint is for needs no admin.
        let minted = mint.await;
        assert_eq!(code(&minted), if sql == STAFF_DEMOTED { "ok" } else { wanted }, "{sql}");
        assert_eq!(house.live().await, i64::from(sql == STAFF_DEMOTED));
    }
}
