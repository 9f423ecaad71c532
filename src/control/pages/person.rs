//! Pages for the customers' people: signing in with their provider, who they are here, signing out.

use super::view;
use crate::access::Parameters;
use crate::access::federation::{FederationError, PersonSignedIn};
use crate::console::pages::{ProfileOrg, ProfilePage, ProvidersPage, SignedOutPersonPage};
use crate::console::text::visible;
use crate::console::{AmbiguousCookie, Cookie, Frame, own_cookie, redirect};
use crate::control::ControlState;
use crate::control::error::{ApiError, Fault};
use crate::control::extract::Call;
use crate::domain::{Membership, OrgUser, Principal};
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// Where one goes who asked for no other place.
const HOME: &str = "/profile";

fn asked(query: Option<String>) -> Parameters {
    Parameters::read(query.unwrap_or_default().as_bytes())
}

/// Where a sign-in with a provider begins.
fn start(provider: &str, return_to: Option<&str>) -> String {
    let mut path = format!("/auth/oidc/start/{provider}");
    if let Some(to) = return_to {
        let rest = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", to).finish();
        path = format!("{path}?{rest}");
    }
    path
}

/// `GET /auth/login`: a way to each provider that everybody may know of, and a field for the names of the others.
pub(super) async fn providers(State(state): State<ControlState>, RawQuery(query): RawQuery) -> Response {
    let asked = asked(query);
    let return_to = asked.get("return_to");
    let all = state.access.providers();
    let named = asked.get("provider").map(|name| name.trim().to_lowercase());
    if let Some(found) = all.iter().find(|p| named.as_ref() == Some(&p.id)) {
        return view::to(state.site, &start(&found.id, return_to));
    }
    let listed = all.iter().filter(|p| p.listed);
    let shown = ProvidersPage {
        frame: Frame::narrow("Sign in"),
        providers: listed.map(|p| (p.name.clone(), start(&p.id, return_to))).collect(),
        more: all.iter().any(|p| !p.listed),
        unknown: named.as_deref().map(visible),
        return_to: return_to.map(str::to_owned),
    };
    let status = if shown.unknown.is_some() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    view::show_with(state.site, status, &shown)
}

/// `GET /auth/oidc/start/{provider}` → 302 to the provider. Who is sent here by another site's page says so first, on a
/// page of ours: nobody is signed in as somebody else behind their back.
pub(super) async fn begin(
    State(state): State<ControlState>,
    Path(provider): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    call: Call,
) -> Result<Response, ApiError> {
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        let rest = query.map(|query| format!("?{query}")).unwrap_or_default();
        return Ok(view::to(state.site, &format!("/auth/login{rest}")));
    }
    let begun = state.access.begin_federated(&provider, asked(query).get("return_to")).await;
    let begun = begun.map_err(|error| call.fault(Fault::Federation(error)))?;
    let https = state.site.https;
    let mut response = redirect(state.site, StatusCode::FOUND, &begun.to).into_response();
    if let Some(cookie) = Cookie::SignIn.set_for(https, &begun.cookie, begun.seconds) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// `GET /auth/oidc/callback` → 303 into the site.
pub(super) async fn finish(
    State(state): State<ControlState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    call: Call,
) -> Response {
    let (answer, https) = (asked(query), state.site.https);
    let cookies = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    let done = match own_cookie(cookies, Cookie::SignIn.name(https)) {
        Err(AmbiguousCookie) => Err(FederationError::Expired),
        Ok(sealed) => {
            let sealed = sealed.and_then(|sealed| std::str::from_utf8(sealed).ok());
            let before = call.caller.known.as_ref().map(|known| known.session.as_ref());
            state.access.finish_federated(sealed, &answer, before, &call.caller.request).await
        }
    };
    // Whatever came of the sign-in, it is over; an answer that isn't its own ends none.
    let over = !matches!(done, Err(FederationError::Expired));
    let (mut response, session) = match done {
        Ok(PersonSignedIn { cookie, seconds, return_to }) => {
            let to = return_to.as_deref().unwrap_or(HOME);
            (view::to(state.site, to), Cookie::Person.set_for(https, &cookie, seconds))
        }
        Err(error) => (call.fault(Fault::Federation(error)).into_response(), None),
    };
    let over = if over { Cookie::SignIn.clear(https) } else { None };
    for cookie in [over, session].into_iter().flatten() {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Who looks.
fn person(call: &Call) -> Result<&OrgUser, ApiError> {
    match call.principal()? {
        Principal::OrgUser(user) => Ok(user),
        Principal::PlatformUser(_) | Principal::Impersonation(_) | Principal::Bot(_) => {
            Err(call.fault(Fault::Act(crate::access::ActError::NoPermit)))
        }
    }
}

/// `GET /profile`: who one is here, or that an administrator has to activate the account first.
pub(super) async fn profile(State(state): State<ControlState>, call: Call) -> Result<Response, ApiError> {
    let user = person(&call)?;
    let mut orgs = Vec::new();
    for Membership { org, role } in &user.memberships {
        let found = state.access.org(org).await.map_err(|_| call.fault(Fault::NotYet("try again")))?;
        orgs.push(ProfileOrg { name: found.name.clone(), id: org.to_string(), role: role.as_str() });
    }
    let shown = ProfilePage {
        frame: Frame::narrow(if user.active { "Your account" } else { "Your account is inactive" }),
        display_name: user.display_name.clone(),
        email: user.email.clone(),
        active: user.active,
        site_admin: user.site_admin,
        orgs,
        until: view::time(call.known()?.session.expires_at),
    };
    Ok(view::show(state.site, &shown))
}

/// `POST /auth/logout`: this session ends.
pub(super) async fn sign_out(
    State(state): State<ControlState>,
    call: Call,
    _body: Bytes,
) -> Result<Response, ApiError> {
    let done = state.access.sign_out_person(call.permit()?, call.known()?, &call.caller.request).await;
    call.act(done)?;
    let mut response = view::to(state.site, "/auth/signed-out");
    if let Some(gone) = Cookie::Person.clear(state.site.https) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    Ok(response)
}

/// `GET /auth/signed-out`.
pub(super) async fn signed_out(State(state): State<ControlState>) -> Response {
    view::show(state.site, &SignedOutPersonPage { frame: Frame::narrow("You are signed out") })
}
