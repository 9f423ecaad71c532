-- Each log is a Merkle tree (architecture §6). A transaction that adds entries also says which (audit_pending); one
-- sequencer gives them their places (audit_leaf) and signs.

-- SHA-256 of the line that tells the same in the other log, in base64; empty when there is none.
ALTER TABLE org_audit ADD COLUMN bond TEXT NOT NULL DEFAULT '';
ALTER TABLE platform_audit ADD COLUMN bond TEXT NOT NULL DEFAULT '';

-- The logs. The one row of the platform's is locked by who sequences.
CREATE TABLE audit_log (
    id {serial},
    name TEXT NOT NULL UNIQUE, -- 'platform', or the id of an org
    size BIGINT NOT NULL DEFAULT 0, -- leaves
    first BIGINT NOT NULL DEFAULT 0, -- the first whose entry is kept
    edge TEXT NOT NULL DEFAULT '', -- roots of the complete subtrees, greatest first
    checkpoint TEXT, -- the newest that was signed
    signed_size BIGINT NOT NULL DEFAULT 0,
    signed_at BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX audit_log_grown ON audit_log (id) WHERE size > signed_size;
CREATE INDEX audit_log_signed ON audit_log (signed_at);
INSERT INTO audit_log (name) VALUES ('platform');

CREATE TABLE audit_leaf (
    log BIGINT NOT NULL,
    idx BIGINT NOT NULL,
    entry BIGINT NOT NULL, -- `n` of the entry
    hash TEXT NOT NULL,
    PRIMARY KEY (log, idx)
) {without_rowid};
CREATE UNIQUE INDEX audit_leaf_entry ON audit_leaf (log, entry);

-- Roots of full tiles: level 1 of 256 leaves, level 2 of 65,536, …
CREATE TABLE audit_node (
    log BIGINT NOT NULL,
    level BIGINT NOT NULL,
    idx BIGINT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (log, level, idx)
) {without_rowid};

-- Signed checkpoints that are kept: one an hour while a log grows.
CREATE TABLE audit_checkpoint (
    log BIGINT NOT NULL,
    size BIGINT NOT NULL,
    signed_at BIGINT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (log, size)
) {without_rowid};

-- What transactions added and nobody has sequenced: positions in the two tables, as ranges (3-9,12).
CREATE TABLE audit_pending (
    id {serial},
    org TEXT NOT NULL,
    platform TEXT NOT NULL,
    time BIGINT NOT NULL
);

-- What was there before the trees.
INSERT INTO audit_pending (org, platform, time)
    WITH RECURSIVE part (n) AS (
        SELECT 1 UNION ALL SELECT n + 512 FROM part WHERE n + 512 <= (SELECT MAX(n) FROM org_audit)
    )
    SELECT n || '-' || (n + 511), '', 0 FROM part WHERE EXISTS (SELECT 1 FROM org_audit);
INSERT INTO audit_pending (org, platform, time)
    WITH RECURSIVE part (n) AS (
        SELECT 1 UNION ALL SELECT n + 512 FROM part WHERE n + 512 <= (SELECT MAX(n) FROM platform_audit)
    )
    SELECT '', n || '-' || (n + 511), 0 FROM part WHERE EXISTS (SELECT 1 FROM platform_audit);
