//! Metadata of orgs, and registering one.

use super::form::{Form, again};
use super::view::{self, is_admin, staff};
use crate::access::{NewOrg, OrgSearch};
use crate::console::form::FormFault;
use crate::console::pages::{NewOrgPage, OrgsPage, ShownOrg};
use crate::console::text::visible;
use crate::control::ControlState;
use crate::control::error::ApiError;
use crate::control::extract::{Call, Query};
use crate::domain::Org;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use url::form_urlencoded::Serializer;

/// Orgs on a page.
const LIMIT: usize = 50;

fn shown(org: &Org) -> ShownOrg {
    ShownOrg {
        id: org.id.to_string(),
        name: visible(&org.name),
        slug: visible(&org.slug),
        plan: visible(&org.plan),
        owner_email: visible(&org.owner_email),
        status: org.status.as_str(),
    }
}

/// `GET /platform/orgs?q=`.
pub(super) async fn list(
    State(state): State<ControlState>,
    call: Call,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    let query = Query::read(&call, raw.as_deref(), &["q", "cursor", "done"])?;
    let user = staff(&call)?;
    let q = query.get("q").unwrap_or_default().trim().to_owned();
    let search = OrgSearch {
        text: Some(q.clone()).filter(|q| !q.is_empty()),
        limit: LIMIT,
        after: query.owned("cursor"),
    };
    let listed = state.access.list_orgs(call.permit()?, call.known()?, search, &call.caller.request).await;
    let listed = call.act(listed)?;
    let next = listed.next.as_ref().map(|cursor| {
        let pairs =
            Serializer::new(String::new()).append_pair("q", &q).append_pair("cursor", cursor).finish();
        format!("/platform/orgs?{pairs}")
    });
    let page = OrgsPage {
        frame: view::wide(user, "Orgs", "orgs"),
        q,
        orgs: listed.items.iter().map(shown).collect(),
        next,
        admin: is_admin(user),
        done: if query.get("done") == Some("registered") {
            "The org is registered.".into()
        } else {
            String::new()
        },
    };
    Ok(view::show(state.site, &page))
}

/// `GET /platform/orgs/new`.
pub(super) async fn new(State(state): State<ControlState>, call: Call) -> Result<Response, ApiError> {
    let page = NewOrgPage {
        frame: view::narrow(staff(&call)?, "Register an org", "orgs"),
        fault: FormFault::default(),
        name: String::new(),
        slug: String::new(),
        plan: String::new(),
        owner_email: String::new(),
    };
    Ok(view::show(state.site, &page))
}

/// `POST /platform/orgs`.
pub(super) async fn register(
    State(state): State<ControlState>,
    call: Call,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    const FIELDS: [&str; 4] = ["name", "slug", "plan", "owner_email"];
    let form = Form::read(&call, &headers, &body, &FIELDS)?;
    let user = staff(&call)?;
    let new = NewOrg {
        slug: form.text("slug"),
        name: form.text("name"),
        plan: form.text("plan"),
        owner_email: form.text("owner_email"),
        allow_platform_impersonation: true,
        auto_add_new_users: false,
    };
    let made = state.access.register_org(call.permit()?, call.known()?, new, &call.caller.request).await;
    match call.act(made) {
        Ok(_) => Ok(view::to(state.site, "/platform/orgs?done=registered")),
        Err(error) => again(error, &FIELDS, |fault, status| {
            let page = NewOrgPage {
                frame: view::narrow(user, "Register an org", "orgs"),
                fault,
                name: form.text("name"),
                slug: form.text("slug"),
                plan: form.text("plan"),
                owner_email: form.text("owner_email"),
            };
            view::show_with(state.site, status, &page)
        }),
    }
}
