//! The demo's two orgs, their people and credentials for them.

use super::error::StartError;
use crate::access::accounts::SeededAccount;
use crate::access::{Access, Issued, NewOrg, NewPerson};
use crate::demo::DemoOrgs;
use crate::domain::ids::OrgId;
use crate::domain::{Millis, OrgRole, Secret};
use serde_json::{Value, json};

/// E-mail of the first platform admin.
const STAFF: &str = "staff@drawbridge.example";
/// E-mail of the second.
const STAFF2: &str = "staff2@drawbridge.example";
/// How long the printed credentials count.
const TOKEN_TTL: Millis = 12 * 3_600_000;

/// The orgs, and credentials of their people.
pub struct People {
    acme: OrgId,
    globex: OrgId,
    tokens: Tokens,
    staff: SeededAccount,
    staff2: SeededAccount,
}

struct Tokens {
    staff: Secret,
    staff2: Secret,
    owner: Secret,
    admin: Secret,
    viewer: Secret,
    globex_owner: Secret,
    bot: Secret,
}

impl People {
    /// What the demo API is told of its customers.
    #[must_use]
    pub fn orgs(&self) -> DemoOrgs {
        DemoOrgs { acme: self.acme.clone(), globex: self.globex.clone() }
    }

    /// `orgs`, `tokens` and `accounts` of the line of JSON (architecture §10), added to `line`.
    pub fn tell(&self, line: &mut serde_json::Map<String, Value>) {
        let tokens = &self.tokens;
        let account = |account: &SeededAccount| {
            json!({
                "email": account.email, "password": account.password.expose(),
                "totp_secret": account.totp_secret.expose(),
            })
        };
        line.insert("orgs".to_owned(), json!({ "acme": self.acme, "globex": self.globex }));
        let tokens = json!({
            "staff": tokens.staff.expose(), "staff2": tokens.staff2.expose(),
            "owner": tokens.owner.expose(), "admin": tokens.admin.expose(),
            "viewer": tokens.viewer.expose(), "globex_owner": tokens.globex_owner.expose(),
            "bot": tokens.bot.expose(),
        });
        line.insert("tokens".to_owned(), tokens);
        line.insert(
            "accounts".to_owned(),
            json!({ "staff": account(&self.staff), "staff2": account(&self.staff2) }),
        );
    }

    /// Shell variables with the orgs, the tokens, and what signs the first staff account in.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, &str); 12] {
        let tokens = &self.tokens;
        [
            ("ACME", self.acme.as_str()),
            ("GLOBEX", self.globex.as_str()),
            ("STAFF", tokens.staff.expose()),
            ("STAFF2", tokens.staff2.expose()),
            ("OWNER", tokens.owner.expose()),
            ("ORG_ADMIN", tokens.admin.expose()),
            ("VIEWER", tokens.viewer.expose()),
            ("GLOBEX_OWNER", tokens.globex_owner.expose()),
            ("BOT", tokens.bot.expose()),
            ("STAFF_EMAIL", &self.staff.email),
            ("STAFF_PASSWORD", self.staff.password.expose()),
            ("STAFF_TOTP_SECRET", self.staff.totp_secret.expose()),
        ]
    }
}

fn person(email: &str, name: &str) -> NewPerson {
    NewPerson { email: email.to_owned(), display_name: name.to_owned() }
}

fn org(slug: &str, name: &str, allow: bool) -> NewOrg {
    NewOrg {
        slug: slug.to_owned(),
        name: name.to_owned(),
        plan: "business".to_owned(),
        owner_email: format!("owner@{slug}.example"),
        allow_platform_impersonation: allow,
        auto_add_new_users: false,
    }
}

/// Two orgs and their people, made once; credentials, made anew each time.
///
/// # Errors
/// [`StartError::Act`].
pub async fn seed(access: &Access) -> Result<People, StartError> {
    let acme = access.provision_org(org("acme", "Acme Corporation", true)).await?;
    let globex = access.provision_org(org("globex", "Globex", false)).await?;
    let admin_roles = vec![crate::access::ADMIN_ROLE.to_owned(), "sre".to_owned()];
    let staff = access.seed_account(person(STAFF, "First Staff"), admin_roles.clone()).await?;
    let staff2 = access.seed_account(person(STAFF2, "Second Staff"), admin_roles).await?;
    for (email, name, org, role) in [
        ("owner@acme.example", "Acme Owner", &acme, OrgRole::Owner),
        ("admin@acme.example", "Acme Admin", &acme, OrgRole::Admin),
        ("viewer@acme.example", "Acme Viewer", &acme, OrgRole::Viewer),
        ("owner@globex.example", "Globex Owner", &globex, OrgRole::Owner),
    ] {
        access.provision_org_user(person(email, name), org.clone(), role).await?;
    }
    let bot = access.provision_bot("recorder", acme.clone(), OrgRole::Operator).await?;
    let token = |issued: Issued| issued.token;
    let tokens = Tokens {
        staff: access.issue_platform_token(STAFF, TOKEN_TTL).await.map(token)?,
        staff2: access.issue_platform_token(STAFF2, TOKEN_TTL).await.map(token)?,
        owner: access.issue_org_token("owner@acme.example", TOKEN_TTL).await.map(token)?,
        admin: access.issue_org_token("admin@acme.example", TOKEN_TTL).await.map(token)?,
        viewer: access.issue_org_token("viewer@acme.example", TOKEN_TTL).await.map(token)?,
        globex_owner: access.issue_org_token("owner@globex.example", TOKEN_TTL).await.map(token)?,
        bot: access.issue_bot_token(&bot, "dev", TOKEN_TTL).await.map(token)?,
    };
    Ok(People { acme, globex, tokens, staff, staff2 })
}
