//! The platform log.

use crate::console::Frame;
use crate::console::form::FormFault;
use crate::console::text::visible;
use crate::domain::Event;
use askama::Template;
use serde_json::Value;

/// The filter as it was filled in.
#[derive(Debug, Clone, Default)]
pub struct FilterFields {
    /// Name of the event.
    pub event: String,
    /// `permit` or `deny`.
    pub decision: String,
    /// Not before.
    pub from: String,
    /// Not after.
    pub to: String,
    /// Identifier.
    pub actor: String,
    /// Ticket.
    pub ticket_ref: String,
    /// Grant.
    pub impersonation_id: String,
    /// Request.
    pub request_id: String,
}

/// A member of an entry, spelt out.
#[derive(Debug, Clone)]
pub struct Member {
    /// Name.
    pub name: String,
    /// Value: text as it is, anything else as JSON.
    pub value: String,
}

/// An entry as it is shown. What came from outside (reason, path, user agent and the rest) is spelt out by
/// [`visible`]: nobody can write a line that reads as another.
#[derive(Debug, Clone)]
pub struct ShownEntry {
    /// Name of the event.
    pub event: String,
    /// `permit`, `deny` or nothing.
    pub decision: String,
    /// Code of a refusal.
    pub code: String,
    /// As in the log.
    pub time: String,
    /// For people.
    pub shown_time: String,
    /// Name of who acted.
    pub who: String,
    /// Their identifier, where it is another text.
    pub who_id: String,
    /// Method and path, or the resource.
    pub what: String,
    /// Reason.
    pub reason: String,
    /// All of it.
    pub members: Vec<Member>,
}

impl ShownEntry {
    /// Of an item of the log.
    #[must_use]
    pub fn new(item: &Value) -> Self {
        let text = |name: &str| item.get(name).and_then(Value::as_str).map(visible).unwrap_or_default();
        let (method, path) = (text("method"), text("path"));
        let what = if path.is_empty() { text("resource") } else { format!("{method} {path}") };
        let (name, id) = (text("actor_name"), text("actor"));
        let members = item.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
        let members = members.map(|(name, value)| Member {
            name: visible(name),
            value: value.as_str().map_or_else(|| visible(&value.to_string()), visible),
        });
        let time = text("time");
        Self {
            event: text("event"),
            decision: text("decision"),
            code: text("code"),
            shown_time: shown_time(&time),
            time,
            who_id: if name.is_empty() || name == id { String::new() } else { id.clone() },
            who: if name.is_empty() { id } else { name },
            what,
            reason: text("reason"),
            members: members.collect(),
        }
    }
}

/// `2026-11-21T13:02:37.123Z` for people.
#[must_use]
pub fn shown_time(rfc3339: &str) -> String {
    let whole = rfc3339.split('.').next().unwrap_or(rfc3339).trim_end_matches('Z');
    match whole.split_once('T') {
        Some((day, time)) => format!("{day} {time} UTC"),
        None => rfc3339.to_owned(),
    }
}

/// `/platform/audit-log`.
#[derive(Template)]
#[template(path = "audit-log.html")]
pub struct AuditLogPage {
    /// Around it.
    pub frame: Frame,
    /// What was wrong.
    pub fault: FormFault,
    /// Everybody's entries, or those of who looks.
    pub whole: bool,
    /// As it was filled in.
    pub filter: FilterFields,
    /// Something was filled in.
    pub filtered: bool,
    /// Names of all events.
    pub events: Vec<&'static str>,
    /// Newest first.
    pub entries: Vec<ShownEntry>,
    /// Where the next page is.
    pub next: Option<String>,
    /// Where the first page is; empty on it.
    pub newest: String,
}

impl AuditLogPage {
    /// Names of all events, for the filter.
    #[must_use]
    pub fn event_names() -> Vec<&'static str> {
        Event::ALL.iter().map(|event| event.as_str()).collect()
    }
}

#[cfg(test)]
impl AuditLogPage {
    pub(super) fn sample() -> Self {
        let hostile = serde_json::json!({
            "event": "platform.impersonation_started", "time": "2026-11-21T13:02:37.123Z", "decision": "permit",
            "actor": "pu_1", "actor_name": "First <script>alert(1)</script>", "method": "POST",
            "path": "/api/v1/\u{202e}gpj.exe", "reason": "=cmd()\r\n\u{1b}[31mred\0 & \"more\"", "status": 201,
            "user_agent": "curl/8 </dd><h1>no</h1>", "ticket_ref": null, "policies": ["mint", "a'b"],
        });
        let denied = serde_json::json!({
            "event": "platform.access_denied", "time": "2026-11-21T13:01:02.000Z", "decision": "deny",
            "code": "PLATFORM_ACCESS_DENIED", "actor": "pu_2", "actor_name": "Second Staff", "method": "GET",
            "path": "/api/v1/cameras", "status": 403,
        });
        Self {
            frame: Frame::sample("Audit log", "audit-log"),
            fault: FormFault::default(),
            whole: true,
            filter: FilterFields { decision: "deny".into(), ..FilterFields::default() },
            filtered: true,
            events: Self::event_names(),
            entries: vec![ShownEntry::new(&hostile), ShownEntry::new(&denied)],
            next: Some("/platform/audit-log?cursor=x".into()),
            newest: "/platform/audit-log".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every byte that came from outside is shown, and does nothing.
    #[test]
    fn what_came_from_outside_is_spelt_out() {
        let html = AuditLogPage::sample().render().unwrap();
        assert!(!html.contains("<script") && !html.contains("</dd><h1>"), "{html}");
        for unseen in ['\r', '\0', '\u{1b}', '\u{202e}'] {
            assert!(!html.contains(unseen), "{unseen:?}");
        }
        for shown in ["=cmd()", r"\u{d}\u{a}\u{1b}[31mred\u{0}", r"\u{202e}gpj.exe"] {
            assert!(html.contains(shown), "{shown} is not in\n{html}");
        }
        assert!(html.contains("alert(1)"));
    }

    #[test]
    fn times_for_people() {
        assert_eq!(shown_time("2026-11-21T13:02:37.123Z"), "2026-11-21 13:02:37 UTC");
        assert_eq!(shown_time("soon"), "soon");
    }
}
