-- The customers' people sign in with OpenID Connect providers.

-- Who somebody is to a provider, for good: `(issuer, subject)`. The address stands here as the provider tells it;
-- `org_user.email`, by which people are found, holds verified ones only.
CREATE TABLE org_user_identity (
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    org_user_id TEXT NOT NULL UNIQUE REFERENCES org_user (id),
    provider TEXT NOT NULL, -- its name in the configuration at the last sign-in
    email TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_sign_in_at BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject)
);

-- The orgs whose people a provider speaks for, as the configuration has them: slugs or ids. A membership beyond them
-- counts for nobody who signs in with it.
CREATE TABLE provider_org (
    issuer TEXT NOT NULL,
    org TEXT NOT NULL,
    PRIMARY KEY (issuer, org)
);

-- Addresses are looked up in lower case, as those of staff.
UPDATE org_user SET email = lower(trim(email));

-- May administer the people of the orgs that their provider is bound to.
ALTER TABLE org_user ADD COLUMN site_admin BIGINT NOT NULL DEFAULT 0;

-- Who signs in first with a provider that is bound to the org becomes an active viewer.
ALTER TABLE org ADD COLUMN auto_add_new_users BIGINT NOT NULL DEFAULT 0;
