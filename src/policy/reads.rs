//! What a policy's conditions look at, read from its JSON form. Conservative: what isn't understood
//! counts as a look at everything.

use super::context::Keys;
use serde_json::{Map, Value};

/// What conditions look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Reads {
    /// Attributes of the context.
    pub(super) context: Keys,
    /// The resource itself, not only its attributes or its type.
    pub(super) resource_id: bool,
    /// The action.
    pub(super) action: bool,
    /// An attribute of `principal.org`, which the gateway can't supply (see `lint`).
    pub(super) beyond: bool,
}

impl Reads {
    /// Of the policy with this JSON form (`Policy::to_json`). The scope isn't looked at.
    pub(super) fn of_policy(policy: &Value) -> Self {
        let mut reads = Self::default();
        if let Some(conditions) = policy.get("conditions") {
            reads.visit(conditions);
        }
        reads
    }

    /// What either looks at.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            context: self.context.or(other.context),
            resource_id: self.resource_id || other.resource_id,
            action: self.action || other.action,
            beyond: self.beyond || other.beyond,
        }
    }

    fn visit(&mut self, value: &Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|v| self.visit(v)),
            Value::Object(object) if !self.accessor(object) => {
                object.values().for_each(|v| self.visit(v));
            }
            _ => {}
        }
    }

    /// `x.attr`, `x has attr`, `resource is T` and bare variables; true if nothing is left to visit.
    fn accessor(&mut self, object: &Map<String, Value>) -> bool {
        if let Some(variable) = object.get("Var") {
            match variable.as_str() {
                Some("context") => self.context = Keys::ALL,
                Some("resource") => self.resource_id = true,
                Some("action") => self.action = true,
                _ => {}
            }
            return false;
        }
        for operator in [".", "has"] {
            let Some(access) = object.get(operator) else { continue };
            let attribute = access.get("attr").and_then(Value::as_str);
            match (access.get("left").and_then(variable), attribute) {
                (Some("context"), Some(name)) => {
                    self.context = self.context.or(Keys::named(name).unwrap_or(Keys::ALL));
                    return true;
                }
                (Some("resource"), Some(_)) => return true,
                _ => {}
            }
            if access.get("left").is_some_and(is_principal_org) {
                self.beyond = true;
            }
        }
        object
            .get("is")
            .is_some_and(|is| is.get("in").is_none() && is.get("left").and_then(variable) == Some("resource"))
    }
}

fn variable(value: &Value) -> Option<&str> {
    value.get("Var")?.as_str()
}

fn is_principal_org(value: &Value) -> bool {
    value.get(".").is_some_and(|access| {
        access.get("left").and_then(variable) == Some("principal")
            && access.get("attr").and_then(Value::as_str) == Some("org")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(condition: &str) -> Reads {
        let text = format!("permit (principal, action, resource in Org::\"x\") when {{ {condition} }};");
        let policy = cedar_policy::Policy::parse(None, text).unwrap();
        Reads::of_policy(&policy.to_json().unwrap())
    }

    #[test]
    fn finds_what_conditions_look_at() {
        let none = Reads::default();
        let keys = |names: &[&str]| names.iter().fold(Keys::default(), |k, n| k.or(Keys::named(n).unwrap()));
        assert_eq!(reads("principal.ended"), none);
        assert_eq!(reads("resource.org == principal.org && resource has org && resource is Camera"), none);
        assert_eq!(reads("context.now > 1"), Reads { context: keys(&["now"]), ..none });
        assert_eq!(
            reads("if context has cause then context.now > 1 else false"),
            Reads { context: keys(&["now", "cause"]), ..none }
        );
        assert_eq!(reads("context == {now: 1}"), Reads { context: Keys::ALL, ..none });
        assert_eq!(reads("context.unheard_of"), Reads { context: Keys::ALL, ..none });
        assert_eq!(reads("{a: context}.a.now > 1"), Reads { context: Keys::ALL, ..none });
        for bare in [
            "resource == Camera::\"x\"",
            "principal.orgs.contains(resource)",
            "resource in Org::\"x\"",
            "resource is Camera in Org::\"x\"",
            "[resource].contains(principal)",
        ] {
            assert_eq!(reads(bare), Reads { resource_id: true, ..none }, "{bare}");
        }
        assert_eq!(reads("action in Action::\"read\""), Reads { action: true, ..none });
        assert!(reads("principal.org.status == \"active\"").beyond);
        assert!(reads("principal.org has status").beyond);
        assert!(!reads("resource.org.status == \"active\"").beyond);
    }
}
