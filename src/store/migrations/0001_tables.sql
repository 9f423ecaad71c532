-- One text for every engine: TEXT and BIGINT (milliseconds since the Unix epoch) only, and the fragment {serial}.

CREATE TABLE platform_user (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    display_name TEXT NOT NULL,
    roles TEXT NOT NULL, -- JSON list of names
    disabled_at BIGINT,
    created_at BIGINT NOT NULL,
    credential_version BIGINT NOT NULL DEFAULT 0
);

CREATE TABLE org (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    plan TEXT NOT NULL,
    owner_email TEXT NOT NULL,
    status TEXT NOT NULL,
    allow_platform_impersonation BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE org_user (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL,
    display_name TEXT NOT NULL,
    active BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX org_user_email ON org_user (email);

CREATE TABLE bot (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    active BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- One role of an org user or a bot in an org.
CREATE TABLE membership (
    org_id TEXT NOT NULL REFERENCES org (id),
    subject_id TEXT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (org_id, subject_id)
);
CREATE INDEX membership_subject ON membership (subject_id);

CREATE TABLE session (
    id TEXT PRIMARY KEY,
    subject_id TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    revoke_reason TEXT,
    client_id TEXT,
    amr TEXT,
    auth_time BIGINT
);
CREATE INDEX session_subject ON session (subject_id);

CREATE TABLE api_token (
    id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL,
    name TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_token_owner ON api_token (owner_id);

CREATE TABLE impersonation (
    id TEXT PRIMARY KEY,
    platform_user_id TEXT NOT NULL REFERENCES platform_user (id),
    org_id TEXT NOT NULL REFERENCES org (id),
    role TEXT NOT NULL,
    reason TEXT NOT NULL,
    ticket_ref TEXT,
    slot BIGINT NOT NULL,
    seq BIGINT NOT NULL DEFAULT 0, -- requests recorded under it so far
    started_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    ended_at BIGINT,
    revoke_reason TEXT,
    idempotency_key TEXT,
    request_digest TEXT
);
CREATE UNIQUE INDEX impersonation_slot ON impersonation (platform_user_id, slot) WHERE ended_at IS NULL;
CREATE UNIQUE INDEX impersonation_key ON impersonation (platform_user_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX impersonation_live_org ON impersonation (org_id) WHERE ended_at IS NULL;
CREATE INDEX impersonation_live_expiry ON impersonation (expires_at) WHERE ended_at IS NULL;
CREATE INDEX impersonation_of_user ON impersonation (platform_user_id, started_at);
CREATE INDEX impersonation_of_org ON impersonation (org_id, started_at);

CREATE TABLE signing_key (
    kid TEXT PRIMARY KEY,
    algorithm TEXT NOT NULL,
    secret TEXT NOT NULL,
    public_key TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);

CREATE TABLE setting (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- The change log (architecture §5.2). The head has one row, whose lock is the last that a transaction takes.
CREATE TABLE change_head (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    n BIGINT NOT NULL,
    tip TEXT NOT NULL
);
INSERT INTO change_head (id, n, tip) VALUES (1, 0, '');

CREATE TABLE change_log (
    n BIGINT PRIMARY KEY,
    effect TEXT NOT NULL,
    subjects TEXT NOT NULL,
    prev TEXT NOT NULL,
    tip TEXT NOT NULL,
    time BIGINT NOT NULL
);

CREATE TABLE gateway (
    id TEXT PRIMARY KEY,
    boot TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    closed_before BIGINT NOT NULL -- every intent of this gateway at or below this position of platform_audit is closed
);

-- The two logs. `body` is the entry as one line of JSON; the columns before it are what entries are looked up by.
-- `part` tells apart the acts of one request.
CREATE TABLE org_audit (
    n {serial},
    org_id TEXT NOT NULL,
    request_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    part TEXT NOT NULL,
    time BIGINT NOT NULL,
    event TEXT NOT NULL,
    action TEXT,
    actor TEXT NOT NULL,
    impersonation_id TEXT,
    decision TEXT,
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX org_audit_once ON org_audit (org_id, request_id, stage, part);
CREATE INDEX org_audit_items ON org_audit (org_id, n) WHERE stage <> 'outcome';
CREATE INDEX org_audit_impersonation ON org_audit (impersonation_id, n) WHERE stage <> 'outcome' AND impersonation_id IS NOT NULL;

CREATE TABLE platform_audit (
    n {serial},
    org_id TEXT,
    request_id TEXT NOT NULL,
    stage TEXT NOT NULL,
    part TEXT NOT NULL,
    time BIGINT NOT NULL,
    event TEXT NOT NULL,
    action TEXT,
    actor TEXT NOT NULL,
    impersonation_id TEXT,
    decision TEXT,
    platform_user_id TEXT,
    ticket_ref TEXT,
    gateway TEXT, -- of an intent: whose it is to close
    body TEXT NOT NULL
);
CREATE UNIQUE INDEX platform_audit_once ON platform_audit (request_id, stage, part);
CREATE INDEX platform_audit_impersonation ON platform_audit (impersonation_id, n) WHERE stage <> 'outcome' AND impersonation_id IS NOT NULL;
CREATE INDEX platform_audit_user ON platform_audit (platform_user_id, n) WHERE stage <> 'outcome' AND platform_user_id IS NOT NULL;
