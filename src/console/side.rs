//! Whose page it is: the vendor's staff and the customers' people sign in apart from each other, on one host.

/// Who a page is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The vendor's staff.
    Staff,
    /// The customers' people.
    People,
}

impl Side {
    /// Whose the route at `path` is; what is nobody's page is the customers'.
    #[must_use]
    pub fn of(path: &str) -> Self {
        let below =
            |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let staff =
            ["/platform", "/api/v1/platform", "/oauth2", "/admin-console"].iter().any(|root| below(root));
        if staff { Self::Staff } else { Self::People }
    }

    /// Where one signs in.
    pub(super) fn sign_in(self) -> &'static str {
        match self {
            Self::Staff => "/platform/login",
            Self::People => "/auth/login",
        }
    }

    /// One's own account.
    pub(super) fn home(self) -> &'static str {
        match self {
            Self::Staff => "/platform/me",
            Self::People => "/profile",
        }
    }
}

/// Whether the gateway has pages at `path`.
#[must_use]
pub fn has_pages(path: &str) -> bool {
    path == "/profile"
        || ["/platform", "/auth"]
            .iter()
            .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::{Side, has_pages};

    #[test]
    fn whose_it_is() {
        for path in
            ["/platform", "/platform/me", "/api/v1/platform/orgs", "/oauth2/authorize", "/admin-console"]
        {
            assert_eq!(Side::of(path), Side::Staff, "{path}");
        }
        for path in ["/", "/platforms", "/auth/login", "/profile", "/api/v1/cameras", "/admin-consoles"] {
            assert_eq!(Side::of(path), Side::People, "{path}");
        }
        assert!(has_pages("/profile") && has_pages("/auth/login") && has_pages("/platform"));
        assert!(!has_pages("/profiles") && !has_pages("/author") && !has_pages("/api/v1/me"));
    }
}
