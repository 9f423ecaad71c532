-- Accounts of the vendor's staff: passwords, second factors, sign-ins, and what OAuth hands out.

-- What decisions know of an account's credentials; kept equal to `platform_credential` by whoever writes there.
-- An account without a password (an operator's command made it) has neither, and can't sign in by one.
ALTER TABLE platform_user ADD COLUMN password_change_required BIGINT NOT NULL DEFAULT 0;
ALTER TABLE platform_user ADD COLUMN enrolment_required BIGINT NOT NULL DEFAULT 0;

-- Addresses are looked up in lower case; where two accounts would become one, both stay as they are.
UPDATE platform_user SET email = lower(trim(email)) WHERE NOT EXISTS (
    SELECT 1 FROM platform_user AS other
    WHERE other.id <> platform_user.id AND lower(trim(other.email)) = lower(trim(platform_user.email))
);

CREATE TABLE platform_credential (
    platform_user_id TEXT PRIMARY KEY REFERENCES platform_user (id),
    password_hash TEXT NOT NULL, -- PHC string
    password_set_at BIGINT NOT NULL,
    initial_expires_at BIGINT, -- of an initial password: until when it may be used to sign in
    initial_used_at BIGINT, -- of an initial password: when it was
    totp_secret TEXT, -- sealed
    totp_step BIGINT, -- the newest step that was accepted; none before it is
    totp_enabled_at BIGINT,
    pending_secret TEXT, -- sealed; of an enrolment that isn't confirmed yet
    pending_at BIGINT,
    last_sign_in_at BIGINT
);

CREATE TABLE backup_code (
    hash TEXT PRIMARY KEY, -- SHA-256, of 120 random bits
    platform_user_id TEXT NOT NULL REFERENCES platform_user (id),
    created_at BIGINT NOT NULL,
    used_at BIGINT, -- taken, or made void by newer ones
    used_for TEXT -- 'sign_in' or 'void'
);
CREATE INDEX backup_code_user ON backup_code (platform_user_id) WHERE used_at IS NULL;

-- Attempts in a row that failed, by address (whether there is such an account or not) and authenticator. An attempt
-- is counted before it is looked at, in a transaction of its own, and taken back when it was right.
CREATE TABLE sign_in_failure (
    account TEXT NOT NULL, -- SHA-256 of the address
    authenticator TEXT NOT NULL, -- 'password', 'totp' or 'setup'
    known BIGINT NOT NULL, -- whether there is such an account
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    step BIGINT NOT NULL, -- the thirty seconds that `in_step` counts in
    in_step BIGINT NOT NULL,
    PRIMARY KEY (account, authenticator)
);
CREATE INDEX sign_in_failure_age ON sign_in_failure (last_at);

-- Sign-ins in a browser: SHA-256 of the cookie's value.
ALTER TABLE session ADD COLUMN secret_hash TEXT;
CREATE UNIQUE INDEX session_secret ON session (secret_hash) WHERE secret_hash IS NOT NULL;

CREATE TABLE authorization_code (
    hash TEXT PRIMARY KEY, -- SHA-256
    session_id TEXT NOT NULL REFERENCES session (id),
    client_id TEXT NOT NULL,
    redirect_uri TEXT NOT NULL,
    code_challenge TEXT NOT NULL,
    scope TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    redeemed_at BIGINT
);
CREATE INDEX authorization_code_session ON authorization_code (session_id);
CREATE INDEX authorization_code_expiry ON authorization_code (expires_at);

-- Who has staff already has been set up.
INSERT INTO setting (key, value) SELECT 'setup_done', 'before 0009' WHERE EXISTS (SELECT 1 FROM platform_user);
