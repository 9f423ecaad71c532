//! The policies and schemas as delivered, for `drawbridge dev` to lay out in its data folder.

macro_rules! files {
    ($folder:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../", $folder, "/", $name))),)*]
    };
}

/// Name and contents of each file of `policies/`, expected decisions included.
pub const POLICIES: &[(&str, &str)] = files!("policies":
    "accounts.cases.toml",
    "accounts.cedar",
    "bots.cases.toml",
    "bots.cedar",
    "concurrency.cases.toml",
    "concurrency.cedar",
    "impersonation.cases.toml",
    "impersonation.cedar",
    "no-standing-access.cases.toml",
    "no-standing-access.cedar",
    "org-roles.cases.toml",
    "org-roles.cedar",
    "pages.cases.toml",
    "pages.cedar",
    "platform.cases.toml",
    "platform.cedar",
    "revocation.cases.toml",
    "revocation.cedar",
    "routes.cases.toml",
    "routes.cedar",
);

/// The gateway's own schema: every set needs it.
pub const PLATFORM_SCHEMA: (&str, &str) =
    ("platform.cedarschema", include_str!("../../schemas/platform.cedarschema"));

/// The schema of the demo customer API.
pub const DEMO_SCHEMA: (&str, &str) =
    ("customer-api.cedarschema", include_str!("../../schemas/customer-api.cedarschema"));
