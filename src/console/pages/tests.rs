//! All pages by their samples: rules that a page's text alone shows. The browser tests look at what is drawn.

use super::*;
use crate::console::problem::ProblemPage;
use crate::console::{LoginPage, Side};
use crate::domain::ids::RequestId;
use crate::domain::problem::Problem;
use askama::Template;

fn all() -> Vec<(&'static str, String)> {
    let page = |name, page: &dyn askama::DynTemplate| (name, page.dyn_render().unwrap());
    let id = RequestId::random();
    let problem = Problem {
        status: 403,
        code: "PLATFORM_ACCESS_DENIED",
        detail: "Ask a platform admin to do this.",
        request_id: &id,
        revoke_reason: None,
        member: None,
    };
    let begin = SecondFactorPage { enrolled: false, ..SecondFactorPage::sample() };
    let again = EnrolPage { shown: None, ..EnrolPage::sample() };
    vec![
        page("login", &LoginPage::sample()),
        page("login-code", &LoginPage::sample().asking_for_code("proved".to_owned())),
        page("me", &MePage::sample()),
        page("password", &PasswordPage::sample()),
        page("second-factor", &SecondFactorPage::sample()),
        page("second-factor-begin", &begin),
        page("enrol", &EnrolPage::sample()),
        page("enrol-again", &again),
        page("backup-codes", &BackupCodesPage::sample()),
        page("admins", &AdminsPage::sample()),
        page("admin-new", &NewAdminPage::sample()),
        page("admin", &AdminPage::sample(false)),
        page("admin-disabled", &AdminPage::sample(true)),
        page("initial-password", &InitialPasswordPage::sample()),
        page("orgs", &OrgsPage::sample()),
        page("org-new", &NewOrgPage::sample()),
        page("audit-log", &AuditLogPage::sample()),
        page("setup", &SetupPage::sample()),
        page("signed-out", &SignedOutPage::sample()),
        page("providers", &ProvidersPage::sample()),
        page("profile", &ProfilePage::sample(true)),
        page("profile-inactive", &ProfilePage::sample(false)),
        page("signed-out-person", &SignedOutPersonPage::sample()),
        page("problem", &ProblemPage::new(Side::Staff, &problem)),
    ]
}

/// Values of an attribute, in order.
fn values<'a>(html: &'a str, attribute: &str) -> Vec<&'a str> {
    html.split(&format!(" {attribute}=\"")).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Start tags of this name, without what ends them.
fn tags<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let tags = html.split('<').filter(|rest| {
        rest.strip_prefix(name).is_some_and(|after| !after.starts_with(char::is_alphanumeric))
    });
    tags.map(|tag| tag.split('>').next().unwrap()).collect()
}

#[test]
fn every_page_keeps_the_rules() {
    for (name, html) in all() {
        assert_eq!(tags(&html, "h1").len(), 1, "{name}: one h1");
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}: a language");
        assert!(!html.contains("<script") && !html.contains("javascript:"), "{name}: no script");
        assert!(values(&html, "style").is_empty() && !html.contains("<style"), "{name}: no inline style");
        assert!(!html.contains(" onclick") && !html.contains(" onload"), "{name}: no handlers");
        let ids = values(&html, "id");
        for (n, id) in ids.iter().enumerate() {
            assert!(!ids[..n].contains(id), "{name}: the id `{id}` stands twice");
        }
        for list in ["for", "aria-describedby", "aria-labelledby"] {
            for id in values(&html, list).iter().flat_map(|v| v.split_whitespace()) {
                assert!(ids.contains(&id), "{name}: {list}=\"{id}\" names nothing");
            }
        }
        let labelled = values(&html, "for");
        for tag in ["input", "select", "textarea"].iter().flat_map(|t| tags(&html, t)) {
            if tag.contains("type=\"hidden\"") {
                continue;
            }
            let id = values(tag, "id");
            assert!(id.len() == 1 && labelled.contains(&id[0]), "{name}: no label for {tag}");
            let complete = tag.starts_with("select") || tag.contains("datetime-local");
            assert!(complete || tag.contains(" autocomplete=\""), "{name}: no autocomplete in {tag}");
        }
        for form in tags(&html, "form") {
            let to = values(form, "action");
            let here = to.len() == 1 && ["/platform/", "/auth/"].iter().any(|of| to[0].starts_with(of));
            assert!(here, "{name}: a form goes to {to:?}");
        }
        for tag in tags(&html, "button") {
            assert!(tag.contains("type=\"submit\""), "{name}: {tag}");
        }
    }
}

#[test]
fn a_field_s_fault_is_tied_to_it() {
    let html = PasswordPage::sample().render().unwrap();
    let field = tags(&html, "input").into_iter().find(|t| t.contains("id=\"new\"")).unwrap();
    assert!(field.contains("aria-invalid=\"true\""), "{field}");
    assert_eq!(values(field, "aria-describedby"), ["new-hint new-error"]);
    assert!(html.contains("id=\"new-error\">This is too short"), "{html}");
    let other = tags(&html, "input").into_iter().find(|t| t.contains("id=\"current\"")).unwrap();
    assert!(!other.contains("aria-invalid"), "{other}");
}

/// What is wrong with the nesting of elements: a browser would mend it, each in its own way.
fn misnested(html: &str) -> Option<String> {
    const VOID: [&str; 6] = ["br", "hr", "img", "input", "link", "meta"];
    // A start tag of these ends a paragraph, whatever the template meant.
    const BLOCKS: [&str; 14] = [
        "details", "div", "dl", "form", "h1", "h2", "h3", "main", "nav", "ol", "p", "section", "table", "ul",
    ];
    let mut open = Vec::new();
    for tag in html.split('<').skip(1) {
        let Some((tag, _)) = tag.split_once('>') else { return Some(format!("<{tag} has no end")) };
        let name = tag.split([' ', '\n', '/']).next().unwrap();
        if let Some(ended) = tag.strip_prefix('/') {
            match open.pop() {
                Some(last) if last == ended => {}
                last => return Some(format!("</{ended}> ends {last:?}")),
            }
        } else if BLOCKS.contains(&name) && open.contains(&"p") {
            return Some(format!("<{tag}> stands in a paragraph"));
        } else if !(tag.starts_with('!') || tag.ends_with('/') || VOID.contains(&name)) {
            open.push(name);
        }
    }
    open.pop().map(|left| format!("<{left}> is never ended"))
}

#[test]
fn every_element_is_ended_where_it_began() {
    for (name, html) in all() {
        assert_eq!(misnested(&html), None, "{name}: {html}");
    }
    for (wrong, why) in [
        ("<p><b>x</p></b>", "</p> ends Some(\"b\")"),
        ("<ul><li>x</ul>", "</ul> ends Some(\"li\")"),
        ("x</p>", "</p> ends None"),
        ("<main><br>", "<main> is never ended"),
        ("<p><div>x</div></p>", "<div> stands in a paragraph"),
        ("<p", "<p has no end"),
    ] {
        assert_eq!(misnested(wrong).as_deref(), Some(why), "{wrong}");
    }
}
