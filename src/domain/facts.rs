//! What is known about who makes a request: proved identity plus the facts that policies judge.
//!
//! Nothing here says what is allowed. `access` reads these from the store, `policy` turns them into
//! Cedar entities.

use super::ids::{BotId, ImpersonationId, OrgId, OrgUserId, PlatformUserId, Subject, TokenId};
use super::{Millis, RevokeReason};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Anything live that a request can be made under, with the facts about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its identifier: `ses_…` of a sign-in, `imp_…` of an impersonation, `tok_…` of an API token.
    pub key: Subject,
    /// Who acts in it.
    pub principal: Principal,
    /// When it began.
    pub started_at: Millis,
    /// From this instant on it is over (`i64::MAX`: never).
    pub expires_at: Millis,
    /// Why it ended, if it has.
    pub ended: Option<RevokeReason>,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    /// Vendor staff, of no org.
    PlatformUser(PlatformUser),
    /// Vendor staff inside one org, by a grant. Boxed: few sessions are one, and it is twice as large as the others.
    Impersonation(Box<Impersonation>),
    /// A person of the customer.
    OrgUser(OrgUser),
    /// A service identity of the customer.
    Bot(Bot),
}

/// Vendor staff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformUser {
    /// Identifier.
    pub id: PlatformUserId,
    /// E-mail, as the account was created with.
    pub email: String,
    /// Name for people to read.
    pub display_name: String,
    /// Role names, for example `platform-admin`, `sre`, `support`, `engineer`.
    pub roles: Vec<String>,
    /// Whether the account is disabled.
    pub disabled: bool,
    /// Its password is an initial one: nothing but replacing it may be done.
    pub password_change_required: bool,
    /// It has a password and no second factor: nothing but enrolling one may be done.
    pub enrolment_required: bool,
}

impl PlatformUser {
    /// The full identity, for the platform log: identifier, and `Name <e-mail>`.
    #[must_use]
    pub fn identity(&self) -> (PlatformUserId, String) {
        (self.id.clone(), format!("{} <{}>", self.display_name, self.email))
    }
}

/// One grant of one platform user to one org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impersonation {
    /// Identifier.
    pub id: ImpersonationId,
    /// The staff member behind it.
    pub operator: PlatformUser,
    /// The one org that it reaches.
    pub org: OrgId,
    /// Role inside the org: always [`OrgRole::Admin`] today.
    pub role: OrgRole,
    /// Which of the places it holds, counted from 1.
    pub slot: i64,
    /// Why it was minted, as given.
    pub reason: String,
    /// Ticket, as given.
    pub ticket_ref: Option<String>,
}

/// A person of the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrgUser {
    /// Identifier.
    pub id: OrgUserId,
    /// E-mail.
    pub email: String,
    /// Name for people to read.
    pub display_name: String,
    /// Whether an administrator has activated the account.
    pub active: bool,
    /// May administer the people of the orgs that their provider is bound to.
    #[serde(default)]
    pub site_admin: bool,
    /// One role in each org that the person belongs to.
    pub memberships: Vec<Membership>,
}

/// A service identity of the customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bot {
    /// Identifier.
    pub id: BotId,
    /// The API token in use.
    pub token: TokenId,
    /// Name for people to read.
    pub name: String,
    /// Whether it may be used at all.
    pub active: bool,
    /// One role in each org that the bot belongs to.
    pub memberships: Vec<Membership>,
}

/// A role in an org.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The org.
    pub org: OrgId,
    /// The role there.
    pub role: OrgRole,
}

/// Role inside an org, each containing those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrgRole {
    /// May read.
    Viewer,
    /// May also write.
    Operator,
    /// May also administer.
    Admin,
    /// May do all, including billing and closing the org.
    Owner,
}

impl OrgRole {
    /// All roles, from the least to the most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Admin, Self::Owner];

    /// The name in tokens, headers, policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == name)
    }
}

/// A customer tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Org {
    /// Identifier.
    pub id: OrgId,
    /// Name for people to read.
    pub name: String,
    /// Short name, unique.
    pub slug: String,
    /// What the customer pays for.
    pub plan: String,
    /// The owner's e-mail.
    pub owner_email: String,
    /// Open, suspended or deleted.
    pub status: OrgStatus,
    /// The owner's switch.
    pub allow_platform_impersonation: bool,
}

/// Whether an org is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrgStatus {
    /// Open.
    Active,
    /// Closed for the time being.
    Suspended,
    /// Closed for good; its log stays.
    Deleted,
}

impl OrgStatus {
    /// The name in the API and in policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

impl Org {
    /// Stands for an org that doesn't exist, so that a stranger to it gets the same answer as for one that does.
    #[must_use]
    pub fn unknown(id: OrgId) -> Self {
        Self {
            id,
            name: String::new(),
            slug: String::new(),
            plan: String::new(),
            owner_email: String::new(),
            status: OrgStatus::Active,
            allow_platform_impersonation: false,
        }
    }
}

impl Principal {
    /// The identifier that names the principal in entries and headers.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::PlatformUser(p) => p.id.as_str(),
            Self::Impersonation(i) => i.id.as_str(),
            Self::OrgUser(u) => u.id.as_str(),
            Self::Bot(b) => b.id.as_str(),
        }
    }

    /// The role that the principal has inside `org`, if any.
    #[must_use]
    pub fn role_in(&self, org: &OrgId) -> Option<OrgRole> {
        match self {
            Self::PlatformUser(_) => None,
            Self::Impersonation(i) => (&i.org == org).then_some(i.role),
            Self::OrgUser(_) | Self::Bot(_) => {
                self.memberships().iter().find(|m| &m.org == org).map(|m| m.role)
            }
        }
    }

    /// The orgs that the principal belongs to (none for staff).
    #[must_use]
    pub fn memberships(&self) -> &[Membership] {
        match self {
            Self::OrgUser(u) => &u.memberships,
            Self::Bot(b) => &b.memberships,
            Self::PlatformUser(_) | Self::Impersonation(_) => &[],
        }
    }

    /// The same, to be changed in place.
    pub(crate) fn memberships_mut(&mut self) -> &mut [Membership] {
        match self {
            Self::OrgUser(u) => &mut u.memberships,
            Self::Bot(b) => &mut b.memberships,
            Self::PlatformUser(_) | Self::Impersonation(_) => &mut [],
        }
    }
}

impl Session {
    /// Every subject whose change makes these facts stale.
    #[must_use]
    pub fn subjects(&self) -> Vec<Subject> {
        let mut all = vec![self.key.clone()];
        match &self.principal {
            Principal::PlatformUser(p) => all.push(p.id.subject()),
            Principal::Impersonation(i) => {
                all.extend([i.operator.id.subject(), i.org.subject()]);
            }
            Principal::OrgUser(u) => all.push(u.id.subject()),
            Principal::Bot(b) => all.push(b.id.subject()),
        }
        all
    }

    /// Shared, as it is handed around.
    #[must_use]
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }
}
