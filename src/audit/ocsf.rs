//! Entries as events of the Open Cybersecurity Schema Framework (ocsf.io), for whoever collects events of many
//! systems: API Activity, and Authentication for sign-ins.
//!
//! An event says what its entry says and no more; what has no place there stands in `unmapped` under its own name.
//! `schemas/ocsf-*.schema.json` say what an event may look like, and a test holds the two together.

use super::given::text;
use super::json;
use super::tree::LogName;
use crate::domain::{Event, parse_rfc3339};
use crate::store::StoreError;
use serde_json::{Map, Value, json};

/// The version of the schema.
const VERSION: &str = "1.8.0";
const PRODUCT: &str = "Drawbridge";

/// A class of events.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    ApiActivity,
    Authentication,
}

/// Names of what is done, and their numbers in the class.
type Activity = (u64, &'static str);

const CREATE: Activity = (1, "Create");
const READ: Activity = (2, "Read");
const UPDATE: Activity = (3, "Update");
const DELETE: Activity = (4, "Delete");
const LOGON: Activity = (1, "Logon");
const LOGOFF: Activity = (2, "Logoff");
const OTHER: u64 = 99;

const INFORMATIONAL: (u64, &str) = (1, "Informational");
const LOW: (u64, &str) = (2, "Low");
const HIGH: (u64, &str) = (4, "High");

const UNKNOWN: (u64, &str) = (0, "Unknown");
const SUCCESS: (u64, &str) = (1, "Success");
const FAILURE: (u64, &str) = (2, "Failure");

/// The event that `item` is: an entry, or an intent merged with its outcome as lists answer it
/// ([`super::query::page`]). Its members `index` and `log`, if it has them, are told too.
#[must_use]
pub fn event(item: &Value) -> Value {
    let name = text(item, "event").or_else(|| text(item, "stage")).unwrap_or("unknown");
    let class = match name {
        "platform.login"
        | "platform.login_failed"
        | "platform.logout"
        | "org.login"
        | "org.login_failed"
        | "org.logout" => Class::Authentication,
        _ => Class::ApiActivity,
    };
    let (class_uid, class_name, category_uid, category_name) = match class {
        Class::ApiActivity => (6003, "API Activity", 6, "Application Activity"),
        Class::Authentication => (3002, "Authentication", 3, "Identity & Access Management"),
    };
    let (activity_id, activity_name) = activity(item, name);
    let severity = severity(item, name);
    let status = status(item, name);
    let time = text(item, "time").and_then(parse_rfc3339).unwrap_or(0);
    let mut event = members(json!({
        "class_uid": class_uid,
        "class_name": class_name,
        "category_uid": category_uid,
        "category_name": category_name,
        "activity_id": activity_id,
        "activity_name": activity_name,
        "type_uid": class_uid * 100 + activity_id,
        "severity_id": severity.0,
        "severity": severity.1,
        "status_id": status.0,
        "status": status.1,
        "status_code": text(item, "code").map(str::to_owned).or_else(|| Some(status_of(item)?.to_string())),
        "status_detail": text(item, "cut_by").or_else(|| text(item, "outcome")),
        "time": time,
        "metadata": metadata(item, name),
        "actor": actor(item),
        "src_endpoint": source(item),
        "http_request": request(item),
        "http_response": response(item),
    }));
    if let Some(count) = item.get("count").and_then(Value::as_u64).filter(|count| *count > 1) {
        event.insert("count".to_owned(), count.into());
        event.insert("start_time".to_owned(), time.into());
        event.insert("end_time".to_owned(), time.into());
    }
    match class {
        Class::ApiActivity => {
            event.insert("api".to_owned(), api(item, name));
            event.insert("resources".to_owned(), resources(item));
        }
        Class::Authentication => {
            event.insert("user".to_owned(), subject(item));
            event.insert("service".to_owned(), json!({ "name": PRODUCT }));
            event.insert(
                "is_remote".to_owned(),
                item.get("source_address").is_some_and(Value::is_string).into(),
            );
            event.insert("session".to_owned(), session(item));
        }
    }
    event.insert("unmapped".to_owned(), unmapped(item));
    Value::Object(event.into_iter().filter(|(_, value)| !is_empty(value)).collect())
}

/// The items of a page as lines of events of one log, each with a line feed.
///
/// # Errors
/// [`StoreError::Corrupt`]: an item can't be written out.
pub fn lines<'i>(log: &LogName, items: impl IntoIterator<Item = &'i Value>) -> Result<String, StoreError> {
    let mut lines = String::new();
    for item in items {
        let mut item = item.clone();
        if let Some(members) = item.as_object_mut() {
            members.insert("log".to_owned(), log.as_str().into());
        }
        lines.push_str(&json::line(&event(&item))?);
        lines.push('\n');
    }
    Ok(lines)
}

/// What was done, by the event where that says it, else by the method.
fn activity(item: &Value, name: &str) -> (u64, String) {
    let known = Event::from_name(name).and_then(|event| match event {
        Event::PlatformLogin | Event::PlatformLoginFailed | Event::OrgLogin | Event::OrgLoginFailed => {
            Some(LOGON)
        }
        Event::PlatformLogout | Event::OrgLogout => Some(LOGOFF),
        Event::PlatformUserCreated
        | Event::OrgUserCreated
        | Event::ImpersonationStarted
        | Event::ImpersonationDenied
        | Event::OrgCreated
        | Event::SetupDone
        | Event::MemberAdded
        | Event::TokenCreated => Some(CREATE),
        Event::OrgsRead => Some(READ),
        Event::PlatformUserDisabled
        | Event::PlatformUserEnabled
        | Event::OrgUserChanged
        | Event::PasswordChanged
        | Event::SecondFactorEnabled
        | Event::SecondFactorReset
        | Event::BackupCodeUsed
        | Event::KeysRotated
        | Event::SupportAccessChanged
        | Event::RetentionChanged
        | Event::AuditChangeRefused
        | Event::PolicyReloaded
        | Event::PolicyRejected => Some(UPDATE),
        Event::ImpersonationEnded | Event::TokenRevoked | Event::AuditExpired => Some(DELETE),
        Event::ImpersonatedRequest | Event::AccessDenied | Event::OrgRequest | Event::OrgAccessDenied => None,
    });
    let by_method = || match text(item, "method")? {
        "POST" => Some(CREATE),
        "GET" | "HEAD" | "OPTIONS" => Some(READ),
        "PUT" | "PATCH" => Some(UPDATE),
        "DELETE" => Some(DELETE),
        _ => None,
    };
    let known = known.or_else(by_method);
    known.map_or_else(|| (OTHER, name.to_owned()), |(id, caption)| (id, caption.to_owned()))
}

fn severity(item: &Value, name: &str) -> (u64, &'static str) {
    // What docs/operating.md says to alarm on.
    let alarming = matches!(name, "policy.rejected" | "audit.change_refused" | "audit.retention_changed");
    if alarming || text(item, "revoke_reason") == Some("records_restored") {
        HIGH
    } else if status(item, name).0 == FAILURE.0 {
        LOW
    } else {
        INFORMATIONAL
    }
}

fn status(item: &Value, name: &str) -> (u64, &'static str) {
    let refused = text(item, "decision") == Some("deny") || text(item, "code").is_some();
    let failed = refused
        || status_of(item).is_some_and(|status| status >= 400)
        || matches!(
            name,
            "platform.login_failed" | "org.login_failed" | "policy.rejected" | "audit.change_refused"
        )
        || matches!(text(item, "outcome"), Some("cut" | "aborted" | "upstream_error" | "not_forwarded"));
    if failed {
        return FAILURE;
    }
    match (text(item, "stage"), text(item, "outcome")) {
        // Open still, or nobody knows.
        (Some("intent" | "outcome"), None | Some("unknown")) => UNKNOWN,
        _ => SUCCESS,
    }
}

fn status_of(item: &Value) -> Option<u64> {
    item.get("status").and_then(Value::as_u64)
}

fn metadata(item: &Value, name: &str) -> Value {
    filled(json!({
        "version": VERSION,
        "product": { "name": PRODUCT, "vendor_name": PRODUCT, "version": env!("CARGO_PKG_VERSION") },
        "uid": item.get("id"),
        "event_code": name,
        "log_name": item.get("log"),
        "log_provider": PRODUCT,
        "log_format": "json",
        "original_time": item.get("time"),
        "sequence": item.get("index"),
        "correlation_uid": item.get("request_id"),
        "tenant_uid": item.get("org_id"),
    }))
}

/// Who acted: of an impersonation the person, where the log tells it.
fn actor(item: &Value) -> Value {
    let uid = text(item, "actor").or_else(|| text(item, "impersonation_id"));
    let user = filled(json!({
        "uid": uid,
        "name": item.get("actor_name"),
        "type_id": actor_type(item).0,
        "type": actor_type(item).1,
        "org": filled(json!({ "uid": item.get("org_id").filter(|_| is_of_org(item)) })),
    }));
    // An outcome whose intent has expired names nobody, and a user has to have a name or an identifier.
    let user = Some(user).filter(|_| uid.is_some());
    filled(json!({ "user": user, "session": session(item), "app_name": PRODUCT }))
}

fn is_of_org(item: &Value) -> bool {
    matches!(text(item, "actor_type"), Some("org_user" | "bot"))
}

fn actor_type(item: &Value) -> (u64, &'static str) {
    match text(item, "actor_type") {
        Some("org_user") => (1, "User"),
        Some("platform_user" | "platform_admin_impersonating") => (2, "Admin"),
        Some("system") => (3, "System"),
        Some("bot") => (4, "Service"),
        Some(_) | None => (0, "Unknown"),
    }
}

fn session(item: &Value) -> Value {
    filled(json!({
        "uid": item.get("token_id"),
        "uid_alt": item.get("impersonation_id"),
        "expiration_reason": item.get("revoke_reason"),
    }))
}

/// Who signed in or out: an operator may have done it for them. Who tried in vain under a name that nobody has is
/// unknown (what they typed isn't kept, it might be a password): not the gateway, which only wrote it down.
fn subject(item: &Value) -> Value {
    let resource = text(item, "resource").filter(|resource| resource.starts_with("pu_"));
    match resource {
        Some(resource) if text(item, "actor") != Some(resource) => json!({ "uid": resource }),
        None if text(item, "actor_type") == Some("system") => {
            json!({ "name": "unknown", "type_id": 0, "type": "Unknown" })
        }
        _ => filled(json!({ "uid": item.get("actor"), "name": item.get("actor_name") })),
    }
}

/// Where from; what comes by itself comes from the gateway.
fn source(item: &Value) -> Value {
    match text(item, "source_address") {
        Some(ip) => json!({ "ip": ip }),
        None => json!({ "svc_name": PRODUCT }),
    }
}

fn api(item: &Value, name: &str) -> Value {
    filled(json!({
        "operation": text(item, "action").unwrap_or(name),
        "service": { "name": PRODUCT },
        "request": filled(json!({ "uid": item.get("request_id") })),
        "response": filled(json!({ "code": status_of(item), "error": item.get("code") })),
    }))
}

/// Methods that the schema knows and HTTP has (RFC 9110, RFC 5789).
const METHODS: [&str; 9] = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

fn request(item: &Value) -> Value {
    filled(json!({
        "http_method": text(item, "method").filter(|method| METHODS.contains(method)),
        "url": filled(json!({ "path": item.get("path") })),
        "user_agent": item.get("user_agent"),
        "uid": item.get("request_id").filter(|_| text(item, "method").is_some()),
        "body_length": item.get("bytes_in"),
    }))
}

fn response(item: &Value) -> Value {
    let Some(code) = status_of(item) else { return Value::Null };
    filled(json!({ "code": code, "body_length": item.get("bytes_out"), "latency": item.get("latency_ms") }))
}

fn resources(item: &Value) -> Value {
    let org = text(item, "org_id").map(|org| json!({ "uid": org, "type": "org" }));
    let resource = text(item, "resource").filter(|resource| text(item, "org_id") != Some(resource));
    let resource = resource.map(|resource| json!({ "uid": resource }));
    Value::Array(resource.into_iter().chain(org).collect())
}

/// What the schema has no place for.
const UNMAPPED: [&str; 20] = [
    "event",
    "stage",
    "actor_type",
    "impersonation_id",
    "impersonation_seq",
    "platform_user_id",
    "platform_user_name",
    "acting_user_id",
    "acting_bot_id",
    "reason",
    "ticket_ref",
    "revoke_reason",
    "decision",
    "policies",
    "policy_hash",
    "query_keys",
    "outcome",
    "attempts",
    "cut_by",
    "details",
];

fn unmapped(item: &Value) -> Value {
    let told = UNMAPPED.iter().filter_map(|name| Some(((*name).to_owned(), item.get(*name)?.clone())));
    let method = text(item, "method").filter(|method| !METHODS.contains(method));
    let method = method.map(|method| ("method".to_owned(), method.into()));
    Value::Object(told.chain(method).filter(|(_, value)| !is_empty(value)).collect())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// An object without the members that say nothing.
fn filled(value: Value) -> Value {
    Value::Object(members(value).into_iter().filter(|(_, value)| !is_empty(value)).collect())
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

#[cfg(test)]
mod tests;
