//! One decision a request: route table and policies, over live facts. No Pingora type and no I/O: a request's
//! parts, a principal and a snapshot go in, an answer comes out.

use super::refusal::{Code, Refusal, over};
use super::route::{OrgChoice, OrgHints, unknown_org, which_org};
use crate::access::Known;
use crate::domain::ids::OrgId;
use crate::domain::{Millis, Org, Session};
use crate::policy::{Action, Context, Decision, Permit, Question, Routed, Snapshot};
use http::HeaderValue;
use std::net::IpAddr;
use std::sync::Arc;

/// What a request asks.
#[derive(Clone, Copy)]
pub struct Asking<'a> {
    /// Method.
    pub method: &'a str,
    /// Canonical path.
    pub path: &'a str,
    /// Who; `None` is a stranger.
    pub known: Option<&'a Known>,
    /// `Drawbridge-Org`.
    pub org_header: Option<&'a HeaderValue>,
    /// The client.
    pub source: IpAddr,
    /// Now.
    pub now: Millis,
    /// The session's handle says that it is over, whatever its facts say.
    pub over: bool,
    /// Refused already for what the policies can't see (a bad path, a foreign origin). A stranger's 401
    /// comes first, and the route is still looked up to name the action in the entry.
    pub fault: Option<&'a Refusal>,
    /// The credential is a cookie, which a browser goes on sending after its session has ended.
    pub by_cookie: bool,
}

/// What the gateway does with a request.
pub struct Answer {
    /// The Cedar action of the route.
    pub action: Option<Arc<str>>,
    /// Where.
    pub org: Option<Arc<Org>>,
    /// Answered as if no credential had been given.
    pub as_stranger: bool,
    /// Whether, and whereto.
    pub verdict: Verdict,
}

/// See [`Answer`].
pub enum Verdict {
    /// Ask again with this org's facts.
    NeedsOrg(OrgId),
    /// To the upstream.
    Forward(Permit),
    /// To the gateway's own API.
    Serve(Permit),
    /// Not at all.
    Refuse(Box<Refusal>),
}

/// Decides. `find` gives the facts of an org if they are at hand.
pub fn authorize(
    snapshot: &Snapshot,
    asking: &Asking<'_>,
    find: impl FnOnce(&OrgId) -> Option<Arc<Org>>,
) -> Answer {
    let stale = asking.by_cookie && asking.known.is_some_and(|k| floor(&k.session, asking).is_some());
    let open = || match snapshot.route(asking.method, asking.path) {
        Routed::Declared { action, .. } => action.open_to_strangers,
        Routed::MethodNotAllowed { .. } | Routed::Undeclared { .. } => false,
    };
    if stale && asking.fault.is_none() && open() {
        // A browser that still sends the cookie of a session that is over gets to the sign-in page.
        let stranger = Asking { known: None, over: false, by_cookie: false, ..*asking };
        return Answer { as_stranger: true, ..ask(snapshot, &stranger, find) };
    }
    ask(snapshot, asking, find)
}

fn ask(snapshot: &Snapshot, asking: &Asking<'_>, find: impl FnOnce(&OrgId) -> Option<Arc<Org>>) -> Answer {
    let session = asking.known.map(|k| k.session.as_ref());
    let refuse = |action: Option<Arc<str>>, org, refusal| Answer {
        action,
        org,
        as_stranger: false,
        verdict: Verdict::Refuse(Box::new(refusal)),
    };
    if let Some(fault) = asking.fault {
        let refusal = match session {
            None => Refusal::unauthenticated(),
            Some(session) => floor(session, asking).unwrap_or_else(|| fault.clone()),
        };
        return refuse(None, None, refusal);
    }
    let (action, in_path, resource_id, undeclared) = match snapshot.route(asking.method, asking.path) {
        Routed::Declared { action, org, resource_id } => (action, org, resource_id, None),
        Routed::MethodNotAllowed { allow, action } => (action, None, None, Some(method_not_allowed(allow))),
        Routed::Undeclared { action } => (action, None, None, Some(not_declared())),
    };
    if undeclared.is_none() && !means_the_same_decoded(snapshot, asking, action) {
        let refusal = match session {
            None => Refusal::unauthenticated(),
            Some(session) => floor(session, asking).unwrap_or_else(ambiguous_path),
        };
        return refuse(None, None, refusal);
    }
    let name = Some(action.name.clone());
    if session.is_none() && (undeclared.is_some() || !action.open_to_strangers) {
        return refuse(name, None, Refusal::unauthenticated());
    }
    let hints = OrgHints {
        in_path,
        header: asking.org_header,
        needed: action.needs_org,
        declared: undeclared.is_none(),
    };
    let org = match which_org(session, hints) {
        Err(refusal) => {
            return refuse(name, None, session.and_then(|s| floor(s, asking)).unwrap_or(refusal));
        }
        Ok(OrgChoice::None) => None,
        Ok(OrgChoice::Unknown) => unknown_org(),
        Ok(OrgChoice::Known(id)) => match find(&id) {
            None => {
                let verdict = Verdict::NeedsOrg(id);
                return Answer { action: name, org: None, as_stranger: false, verdict };
            }
            found => found,
        },
    };
    // What a handler decides needs facts that only its transaction has; the gate asks whether to call it.
    let asked = if action.decided_by_handler { snapshot.action("call") } else { Some(action) };
    let Some(asked) = asked else {
        return refuse(name, org, policy_error());
    };
    let decision = decide(snapshot, asking, asked, org.as_deref(), resource_id);
    let verdict = match decision {
        Decision::Denied(denial) => {
            let by_default =
                matches!(denial.code.as_ref(), "ROUTE_NOT_DECLARED" | "POLICY_DENIED" | "NOT_FOUND");
            let denied = Refusal::denied(denial, session, asking.now);
            Err(match undeclared {
                // The policies have nothing against the caller but that the route isn't declared.
                Some(ours) if by_default => Refusal { duty: denied.duty, policies: denied.policies, ..ours },
                _ => denied,
            })
        }
        Decision::Permit(permit) => match (undeclared, session.and_then(|s| floor(s, asking))) {
            (_, Some(over)) => Err(over.despite(&permit)),
            (Some(undeclared), None) => Err(undeclared.despite(&permit)),
            (None, None) => Ok(permit),
        },
    };
    let verdict = match verdict {
        Err(refusal) => Verdict::Refuse(Box::new(refusal)),
        Ok(permit) if action.served_here => Verdict::Serve(permit),
        Ok(permit) => Verdict::Forward(permit),
    };
    Answer { action: name, org, as_stranger: false, verdict }
}

fn decide(
    snapshot: &Snapshot,
    asking: &Asking<'_>,
    action: &Action,
    org: Option<&Org>,
    resource_id: Option<&str>,
) -> Decision {
    let started_at = asking.known.map_or(asking.now, |k| k.session.started_at);
    snapshot.decide(&Question {
        session: asking.known.map(|k| k.session.as_ref()),
        action,
        org: org.filter(|_| action.needs_org),
        resource_id,
        context: &Context::of_request(asking.now, asking.source, asking.method, asking.path, started_at),
        prepared: asking.known.map(|k| &k.prepared),
    })
}

/// The floor beneath the policies: what is over is never forwarded, whatever they say.
fn floor(session: &Session, asking: &Asking<'_>) -> Option<Refusal> {
    let reason = over(session, asking.now);
    (asking.over || reason.is_some()).then(|| Refusal::over(session, reason))
}

/// Whether an upstream that decodes the path's escapes before it routes comes to the same action.
fn means_the_same_decoded(snapshot: &Snapshot, asking: &Asking<'_>, action: &Action) -> bool {
    if !asking.path.contains('%') {
        return true;
    }
    let Ok(decoded) = percent_encoding::percent_decode_str(asking.path).decode_utf8() else { return false };
    match snapshot.route(asking.method, &decoded) {
        Routed::Declared { action: other, .. } => other.name == action.name,
        Routed::MethodNotAllowed { .. } | Routed::Undeclared { .. } => false,
    }
}

fn ambiguous_path() -> Refusal {
    Refusal::own(
        400,
        "BAD_PATH",
        "the path's escapes hide another route; send the path in its canonical form",
    )
}

fn not_declared() -> Refusal {
    Refusal::own(404, "ROUTE_NOT_DECLARED", "no route is declared for this path; compare it with the schema")
}

fn method_not_allowed(allow: &str) -> Refusal {
    Refusal {
        allow: Some(allow.to_owned()),
        ..Refusal::own(405, "METHOD_NOT_ALLOWED", "this path is declared with other methods; see `Allow`")
    }
}

fn policy_error() -> Refusal {
    Refusal {
        code: Code::Own("POLICY_ERROR"),
        ..Refusal::own(
            500,
            "POLICY_ERROR",
            "the policies in force can't judge this request, so it was refused; tell their owner",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{PolicyEngine, PolicyFolders};
    use std::net::Ipv4Addr;

    #[test]
    fn escapes_that_hide_another_route_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in std::fs::read_dir(sources.join("schemas")).unwrap() {
            let file = file.unwrap();
            let text = std::fs::read_to_string(file.path()).unwrap();
            let text = text.replace("\"* /api/v1/echo\"", "\"* /{rest...}\"");
            std::fs::write(folder.path().join(file.file_name()), text).unwrap();
        }
        let folders = PolicyFolders { policies: sources.join("policies"), schemas: folder.path().to_owned() };
        let snapshot = PolicyEngine::load(folders).unwrap_or_else(|r| panic!("{}", r.rendered)).snapshot();
        let same = |method, path| {
            let asking = Asking {
                method,
                path,
                known: None,
                org_header: None,
                source: Ipv4Addr::LOCALHOST.into(),
                now: 0,
                over: false,
                fault: None,
                by_cookie: false,
            };
            let Routed::Declared { action, .. } = snapshot.route(method, path) else { panic!("{path}") };
            means_the_same_decoded(&snapshot, &asking, action)
        };
        assert!(!same("DELETE", "/api/v1/%6Frg"), "an owner's action behind the wildcard");
        assert!(!same("PUT", "/api/v1/%6Frg"), "a method that the path doesn't have");
        assert!(!same("GET", "/%61pi/v1/me"), "the gateway's own route");
        for fine in ["/api/v1/cameras/c%20a", "/any/%C3%A9t%C3%A9", "/api/v1/org/x%20y"] {
            assert!(same("GET", fine), "{fine}");
        }
    }
}
