//! To the upstream: by Permit only, with identity headers that nobody else can set.

use super::context::Context;
use super::hygiene::without_own_cookies;
use super::settings::HostHeader;
use crate::access::Known;
use crate::domain::ids::OrgId;
use crate::domain::{Millis, Principal};
use crate::identity::{AssertionFor, Assertions};
use crate::policy::Permit;
use http::{HeaderValue, header};
use pingora::ErrorType::InternalError;
use pingora::Result;
use pingora::http::RequestHeader;

/// What the upstream is told about the caller. Made from a [`Permit`], so there is none without one.
#[derive(Debug)]
pub struct Passport {
    org_id: Option<OrgId>,
    principal: Option<HeaderValue>,
    org: Option<HeaderValue>,
    role: Option<HeaderValue>,
    impersonation: Option<HeaderValue>,
    actor: Option<HeaderValue>,
}

/// Turns a permit into what the upstream is told. `known`: who, `None` for a stranger on a public route.
#[must_use]
pub fn forward(permit: Permit, known: Option<&Known>) -> Passport {
    let value = |text: &str| HeaderValue::from_str(text).ok();
    let org_id = permit.org().cloned();
    let session = known.map(|k| k.session.as_ref());
    let grant = session.and_then(|s| match &s.principal {
        Principal::Impersonation(grant) => Some(grant),
        Principal::PlatformUser(_) | Principal::OrgUser(_) | Principal::Bot(_) => None,
    });
    Passport {
        principal: session.and_then(|s| value(s.principal.id())),
        org: org_id.as_ref().and_then(|o| value(o.as_str())),
        role: session
            .zip(org_id.as_ref())
            .and_then(|(s, o)| s.principal.role_in(o))
            .map(|role| HeaderValue::from_static(role.as_str())),
        impersonation: grant.and_then(|g| value(g.id.as_str())),
        actor: grant.and_then(|g| value(g.operator.id.as_str())),
        org_id,
    }
}

/// Makes the upstream's request: what the client must not say goes, what the gateway says comes.
///
/// # Errors
/// When a value can't be a header (ours always can).
pub(super) fn dress(
    ctx: &Context,
    passport: &Passport,
    assertions: &Assertions,
    host: &HostHeader,
    own_cookies: &[String],
    now: Millis,
    request: &mut RequestHeader,
) -> Result<()> {
    if let Some(admitted) = &ctx.admitted {
        for name in &admitted.strip {
            request.remove_header(name);
        }
        if admitted.cookies {
            strip_own_cookies(request, own_cookies)?;
        }
        forwarded_headers(ctx, request)?;
    }
    if let HostHeader::Set(host) = host {
        request.insert_header("Host", host.as_str())?;
    }
    for (name, value) in [
        ("x-drawbridge-principal", &passport.principal),
        ("x-drawbridge-org", &passport.org),
        ("x-drawbridge-role", &passport.role),
        ("x-drawbridge-impersonation", &passport.impersonation),
        ("x-drawbridge-actor", &passport.actor),
        ("x-request-id", &ctx.request_id_value),
    ] {
        if let Some(value) = value {
            request.insert_header(name, value.clone())?;
        }
    }
    if let Some(known) = &ctx.known {
        let bound = (ctx.request_id.as_str(), ctx.method.as_str(), ctx.uri.path());
        let what = AssertionFor {
            session: &known.session,
            org: passport.org_id.as_ref(),
            request: ctx.is_impersonated().then_some(bound),
            now,
            trusted_for: ctx.shared.access.trusted_for(),
        };
        let assertion = assertions
            .sign_once(&what, &known.assertion)
            .map_err(|e| pingora::Error::because(InternalError, "the assertion can't be signed", e))?;
        request.insert_header("x-drawbridge-assertion", assertion)?;
    }
    Ok(())
}

/// Where the request came from, said by us (or, from a trusted proxy, with what it said).
fn forwarded_headers(ctx: &Context, request: &mut RequestHeader) -> Result<()> {
    let Some(admitted) = &ctx.admitted else { return Ok(()) };
    let said = |name: &str| admitted.trusted.then(|| request.headers.get(name)).flatten().cloned();
    let proto = said("x-forwarded-proto")
        .unwrap_or_else(|| HeaderValue::from_static(if ctx.tls { "https" } else { "http" }));
    let host = said("x-forwarded-host").unwrap_or_else(|| admitted.host.clone());
    request.insert_header("x-forwarded-for", ctx.source.to_string())?;
    request.insert_header("x-forwarded-proto", proto)?;
    request.insert_header("x-forwarded-host", host)?;
    Ok(())
}

/// Takes our own cookies out; all others pass byte for byte.
fn strip_own_cookies(request: &mut RequestHeader, own: &[String]) -> Result<()> {
    let without: Vec<Option<Vec<u8>>> = request
        .headers
        .get_all(header::COOKIE)
        .iter()
        .map(|v| without_own_cookies(v.as_bytes(), own))
        .collect();
    if without.iter().all(Option::is_none) {
        return Ok(());
    }
    let values: Vec<HeaderValue> = request.headers.get_all(header::COOKIE).iter().cloned().collect();
    request.remove_header(&header::COOKIE);
    for (value, without) in values.into_iter().zip(without) {
        match without {
            None => request.append_header("Cookie", value)?,
            Some(rest) if rest.is_empty() => continue,
            Some(rest) => request.append_header("Cookie", rest)?,
        };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::strip_own_cookies;
    use pingora::http::RequestHeader;

    #[test]
    fn cookies_of_others_survive_in_their_lines() {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for line in ["a=1; mine=x", "mine=y", "b=\"2\"; c"] {
            request.append_header("Cookie", line).unwrap();
        }
        strip_own_cookies(&mut request, &["mine".to_owned()]).unwrap();
        let left: Vec<_> = request.headers.get_all("cookie").iter().map(|v| v.to_str().unwrap()).collect();
        assert_eq!(left, ["a=1", "b=\"2\"; c"]);
    }
}
