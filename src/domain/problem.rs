//! A refusal as the caller reads it: `application/problem+json` (RFC 9457) with a code of ours.

use super::RevokeReason;
use super::ids::RequestId;

/// `Content-Type` of the document.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// A problem document.
#[derive(Debug, Clone)]
pub struct Problem<'a> {
    /// HTTP status.
    pub status: u16,
    /// Code (requirements §7), or one that a policy file introduced.
    pub code: &'a str,
    /// What is wrong and what to do next.
    pub detail: &'a str,
    /// The request.
    pub request_id: &'a RequestId,
    /// Why a grant ended, for `IMPERSONATION_REVOKED` and `IMPERSONATION_EXPIRED`.
    pub revoke_reason: Option<RevokeReason>,
    /// The member of the body that can't be used, for `INVALID_BODY`.
    pub member: Option<&'a str>,
}

impl Problem<'_> {
    /// The document: `type, title, status, detail, code, request_id`, and what else applies.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let mut document = serde_json::json!({
            "type": format!("urn:drawbridge:code:{}", self.code),
            "title": title(self.code),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": self.request_id.as_str(),
        });
        if let Some(members) = document.as_object_mut() {
            if let Some(reason) = self.revoke_reason {
                members.insert("revoke_reason".to_owned(), reason.as_str().into());
            }
            if let Some(member) = self.member {
                members.insert("member".to_owned(), member.into());
            }
        }
        document.to_string().into_bytes()
    }
}

/// The challenge of a 401 (RFC 6750 §3): with `error` only when a credential was given.
#[must_use]
pub fn challenge(code: &str, credential_given: bool) -> String {
    if !credential_given {
        return r#"Bearer realm="drawbridge""#.to_owned();
    }
    let printable: String = title(code).chars().filter(|c| !matches!(c, '"' | '\\')).collect();
    format!(r#"Bearer realm="drawbridge", error="invalid_token", error_description="{printable}""#)
}

/// `IMPERSONATION_OUT_OF_SCOPE` → `Impersonation out of scope`.
#[must_use]
pub fn title(code: &str) -> String {
    let mut words = code.replace('_', " ").to_lowercase();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_members_of_the_contract() {
        let id = RequestId::random();
        let problem = Problem {
            status: 401,
            code: "IMPERSONATION_REVOKED",
            detail: "say why",
            request_id: &id,
            revoke_reason: Some(RevokeReason::Logout),
            member: None,
        };
        let body: serde_json::Value = serde_json::from_slice(&problem.body()).unwrap();
        assert_eq!(body["title"], "Impersonation revoked");
        assert_eq!(body["type"], "urn:drawbridge:code:IMPERSONATION_REVOKED");
        assert_eq!(body["revoke_reason"], "logout");
        assert_eq!(body["request_id"], id.as_str());
        assert!(body.get("member").is_none());
    }

    #[test]
    fn a_challenge_names_the_error_only_for_a_given_credential() {
        assert_eq!(challenge("UNAUTHENTICATED", false), r#"Bearer realm="drawbridge""#);
        assert!(challenge("TOKEN_EXPIRED", true).contains(r#"error="invalid_token""#));
    }
}
