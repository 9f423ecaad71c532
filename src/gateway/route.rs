//! Which org a request is about (architecture §10, "Which org").

use super::refusal::Refusal;
use crate::domain::ids::OrgId;
use crate::domain::{Org, Principal, Session};
use http::HeaderValue;
use std::sync::{Arc, LazyLock};

/// Which org a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrgChoice {
    /// None: the action has none.
    None,
    /// This one.
    Known(OrgId),
    /// One that can't exist, or none that the principal could mean: judged as an unknown org, so that a
    /// stranger to an org learns nothing from the answer.
    Unknown,
}

/// What a request says about its org.
#[derive(Debug, Clone, Copy)]
pub struct OrgHints<'a> {
    /// `{org}` in the path.
    pub in_path: Option<&'a str>,
    /// `Drawbridge-Org`.
    pub header: Option<&'a HeaderValue>,
    /// The action needs an org.
    pub needed: bool,
    /// The route is declared.
    pub declared: bool,
}

/// The path's; else the credential's; else, for persons and bots, the one they name; else their only one.
///
/// # Errors
/// `400 ORG_REQUIRED`.
pub fn which_org(session: Option<&Session>, hints: OrgHints<'_>) -> Result<OrgChoice, Refusal> {
    if let Some(id) = hints.in_path {
        return Ok(OrgId::parse(id).map_or(OrgChoice::Unknown, OrgChoice::Known));
    }
    if !hints.needed {
        return Ok(OrgChoice::None);
    }
    let Some(session) = session else { return Ok(OrgChoice::Unknown) };
    let memberships = match &session.principal {
        Principal::Impersonation(grant) => return Ok(OrgChoice::Known(grant.org.clone())),
        Principal::PlatformUser(_) => return Ok(OrgChoice::Unknown),
        Principal::OrgUser(user) => &user.memberships,
        Principal::Bot(bot) => &bot.memberships,
    };
    if let Some(named) = hints.header {
        let named = named.to_str().ok().and_then(|n| OrgId::parse(n.trim()).ok());
        return Ok(named.map_or(OrgChoice::Unknown, OrgChoice::Known));
    }
    match memberships.as_slice() {
        [only] => Ok(OrgChoice::Known(only.org.clone())),
        [] => Ok(OrgChoice::Unknown),
        [_, ..] if !hints.declared => Ok(OrgChoice::Unknown),
        [_, ..] => Err(Refusal::own(
            400,
            "ORG_REQUIRED",
            "you belong to several orgs; name one in the header `Drawbridge-Org`",
        )),
    }
}

/// Stands for an org that can't exist.
#[must_use]
pub fn unknown_org() -> Option<Arc<Org>> {
    static UNKNOWN: LazyLock<Option<Arc<Org>>> =
        LazyLock::new(|| OrgId::parse("org_-").ok().map(|id| Arc::new(Org::unknown(id))));
    UNKNOWN.clone()
}

/// Whether an org stands for one that doesn't exist.
#[must_use]
pub fn is_unknown(org: &Org) -> bool {
    org.slug.is_empty() && org.name.is_empty()
}

#[cfg(test)]
mod tests {
    use super::{OrgChoice, OrgHints, is_unknown, unknown_org, which_org};
    use crate::domain::ids::{BotId, ImpersonationId, OrgId, OrgUserId, PlatformUserId, TokenId};
    use crate::domain::{Bot, Impersonation, Membership, OrgRole, OrgUser, PlatformUser, Principal, Session};
    use http::HeaderValue;

    fn org(id: &str) -> OrgId {
        OrgId::parse(id).unwrap()
    }
    fn memberships(orgs: &[&str]) -> Vec<Membership> {
        orgs.iter().map(|o| Membership { org: org(o), role: OrgRole::Viewer }).collect()
    }
    fn session(principal: Principal) -> Session {
        let key = OrgUserId::parse("usr_1").unwrap().subject();
        Session { key, principal, started_at: 0, expires_at: i64::MAX, ended: None }
    }
    fn user(orgs: &[&str]) -> Session {
        session(Principal::OrgUser(OrgUser {
            site_admin: false,
            id: OrgUserId::parse("usr_1").unwrap(),
            email: "a@acme.test".into(),
            display_name: "A".into(),
            active: true,
            memberships: memberships(orgs),
        }))
    }
    fn bot(orgs: &[&str]) -> Session {
        session(Principal::Bot(Bot {
            id: BotId::parse("bot_1").unwrap(),
            token: TokenId::parse("tok_1").unwrap(),
            name: "b".into(),
            active: true,
            memberships: memberships(orgs),
        }))
    }
    fn staff() -> PlatformUser {
        PlatformUser {
            id: PlatformUserId::parse("pu_1").unwrap(),
            email: "s@vendor.test".into(),
            display_name: "S".into(),
            roles: vec![],
            disabled: false,
            password_change_required: false,
            enrolment_required: false,
        }
    }
    fn grant(to: &str) -> Session {
        session(Principal::Impersonation(Box::new(Impersonation {
            id: ImpersonationId::parse("imp_1").unwrap(),
            operator: staff(),
            org: org(to),
            role: OrgRole::Admin,
            slot: 1,
            reason: "because it is needed".into(),
            ticket_ref: None,
        })))
    }
    fn choose(
        s: Option<&Session>,
        in_path: Option<&str>,
        header: Option<&'static str>,
    ) -> Result<OrgChoice, String> {
        let header = header.map(HeaderValue::from_static);
        which_org(s, OrgHints { in_path, header: header.as_ref(), needed: true, declared: true })
            .map_err(|r| r.code.as_str().to_owned())
    }
    fn known(id: &str) -> Result<OrgChoice, String> {
        Ok(OrgChoice::Known(org(id)))
    }

    #[test]
    fn the_path_comes_first() {
        for s in [&user(&["org_a"]), &bot(&["org_a", "org_b"]), &grant("org_a")] {
            assert_eq!(choose(Some(s), Some("org_z"), Some("org_b")), known("org_z"));
            assert_eq!(choose(Some(s), Some("../etc"), None), Ok(OrgChoice::Unknown));
        }
        assert_eq!(choose(None, Some("org_z"), None), known("org_z"));
    }

    #[test]
    fn then_the_credential_s() {
        assert_eq!(choose(Some(&grant("org_a")), None, Some("org_b")), known("org_a"));
    }

    #[test]
    fn then_the_one_that_is_named() {
        assert_eq!(choose(Some(&user(&["org_a", "org_b"])), None, Some("org_b")), known("org_b"));
        assert_eq!(choose(Some(&bot(&["org_a", "org_b"])), None, Some(" org_b ")), known("org_b"));
        // One that the caller is no member of is for the policies to refuse, never replaced by another.
        assert_eq!(choose(Some(&user(&["org_a"])), None, Some("org_c")), known("org_c"));
        assert_eq!(choose(Some(&user(&["org_a"])), None, Some("Acme!")), Ok(OrgChoice::Unknown));
    }

    #[test]
    fn then_the_only_one() {
        assert_eq!(choose(Some(&user(&["org_a"])), None, None), known("org_a"));
        assert_eq!(choose(Some(&bot(&["org_a"])), None, None), known("org_a"));
        assert_eq!(choose(Some(&user(&["org_a", "org_b"])), None, None), Err("ORG_REQUIRED".into()));
        assert_eq!(choose(Some(&user(&[])), None, None), Ok(OrgChoice::Unknown));
    }

    #[test]
    fn staff_and_strangers_have_none() {
        assert_eq!(
            choose(Some(&session(Principal::PlatformUser(staff()))), None, Some("org_a")),
            Ok(OrgChoice::Unknown)
        );
        assert_eq!(choose(None, None, Some("org_a")), Ok(OrgChoice::Unknown));
    }

    #[test]
    fn an_action_without_org_needs_none() {
        let s = user(&["org_a", "org_b"]);
        let hints = OrgHints { in_path: None, header: None, needed: false, declared: true };
        assert_eq!(which_org(Some(&s), hints).unwrap(), OrgChoice::None);
        let undeclared = OrgHints { needed: true, declared: false, ..hints };
        assert_eq!(which_org(Some(&s), undeclared).unwrap(), OrgChoice::Unknown);
    }

    #[test]
    fn the_stand_in_is_recognised() {
        assert!(is_unknown(&unknown_org().unwrap()));
    }
}
