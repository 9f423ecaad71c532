//! The context record: its attributes, and building only those that somebody reads.

use super::decide;
use cedar_policy::{Context, RestrictedExpression};

/// The attributes that exist, in the order of their bits.
pub(super) const NAMES: [&str; 13] = [
    "now",
    "source_address",
    "method",
    "path",
    "session_age",
    "live_impersonations",
    "reason_length",
    "has_ticket",
    "cause",
    "acknowledged",
    "target_is_self",
    "target_is_admin",
    "active_admins",
];

/// A set of context attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Keys(u16);

impl Keys {
    /// All of them.
    pub(super) const ALL: Self = Self((1 << NAMES.len()) - 1);

    /// The one with this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMES.iter().position(|n| *n == name).map(|bit| Self(1 << bit))
    }

    /// In either.
    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// In both.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.into_iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, n)| n)
    }
}

/// The record with these attributes, or `None` if Cedar refuses one (it never does).
pub(super) fn build(context: &decide::Context<'_>, keys: Keys) -> Option<Context> {
    if keys == Keys::default() {
        return Some(Context::empty());
    }
    Context::from_pairs(keys.names().map(|name| (name.to_owned(), value(context, name)))).ok()
}

fn value(c: &decide::Context<'_>, name: &str) -> RestrictedExpression {
    use RestrictedExpression as E;
    match name {
        "now" => E::new_long(c.now),
        "source_address" => E::new_ip(c.source_address.to_canonical().to_string()),
        "method" => E::new_string(c.method.to_owned()),
        "path" => E::new_string(c.path.to_owned()),
        "session_age" => E::new_long(c.session_age),
        "live_impersonations" => E::new_long(c.live_impersonations),
        "reason_length" => E::new_long(c.reason_length),
        "has_ticket" => E::new_bool(c.has_ticket),
        "cause" => E::new_string(c.cause.to_owned()),
        "acknowledged" => E::new_bool(c.acknowledged),
        "target_is_self" => E::new_bool(c.target_is_self),
        "target_is_admin" => E::new_bool(c.target_is_admin),
        _ => E::new_long(c.active_admins),
    }
}

/// A record with every attribute, to check a schema's types against.
pub(super) fn sample(keys: Keys) -> Option<Context> {
    let sample =
        decide::Context::of_request(0, std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), "GET", "/", 0);
    build(&sample, keys)
}
