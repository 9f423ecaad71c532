-- What may leave the logs, and nothing else (architecture §6): an entry goes once it is older than its log's
-- retention, and only from the beginning of the log. Whoever tries anything else is refused, and told of.

-- Days that entries are kept. `changed` goes up by one with each change: an UPDATE that doesn't say so is an accident.
CREATE TABLE audit_retention (
    log_kind TEXT PRIMARY KEY CHECK (log_kind IN ('org', 'platform')),
    days BIGINT NOT NULL CHECK (days BETWEEN 1 AND 36500),
    changed BIGINT NOT NULL DEFAULT 0
);
INSERT INTO audit_retention (log_kind, days) VALUES ('org', 90), ('platform', 365);

-- What the database itself has to tell; a gateway makes entries of it. RAISE(FAIL) refuses a statement and keeps what
-- it has written until then, which is the notice alone.
CREATE TABLE audit_notice (
    id {serial},
    time BIGINT NOT NULL,
    what TEXT NOT NULL,
    about TEXT NOT NULL,
    detail TEXT NOT NULL
);

CREATE TRIGGER audit_retention_update BEFORE UPDATE ON audit_retention
WHEN NEW.changed <> OLD.changed + 1 OR NEW.log_kind <> OLD.log_kind
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_retention', 'UPDATE of ' || OLD.log_kind || ' to ' || NEW.days || ' days');
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
CREATE TRIGGER audit_retention_delete BEFORE DELETE ON audit_retention
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_retention', 'DELETE of ' || OLD.log_kind);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
CREATE TRIGGER audit_retention_changed AFTER UPDATE ON audit_retention WHEN NEW.days <> OLD.days
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'retention_changed', OLD.log_kind, OLD.days || ' to ' || NEW.days || ' days');
END;

-- The logs: changed never, deleted from when they have expired and the log says that it begins later.
DROP TRIGGER org_audit_update;
DROP TRIGGER org_audit_delete;
CREATE TRIGGER org_audit_update BEFORE UPDATE ON org_audit
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'org_audit', 'UPDATE of entry ' || OLD.n);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
CREATE TRIGGER org_audit_delete BEFORE DELETE ON org_audit
WHEN NOT COALESCE(
        OLD.time < CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
            - 86400000 * (SELECT days FROM audit_retention WHERE log_kind = 'org'), FALSE)
    OR NOT EXISTS (
        SELECT 1 FROM audit_log l JOIN audit_leaf f ON f.log = l.id AND f.entry = OLD.n
        WHERE l.name = OLD.org_id AND f.idx < l.first)
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'org_audit', 'DELETE of entry ' || OLD.n);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
DROP TRIGGER platform_audit_update;
DROP TRIGGER platform_audit_delete;
CREATE TRIGGER platform_audit_update BEFORE UPDATE ON platform_audit
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'platform_audit', 'UPDATE of entry ' || OLD.n);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
CREATE TRIGGER platform_audit_delete BEFORE DELETE ON platform_audit
WHEN NOT COALESCE(
        OLD.time < CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)
            - 86400000 * (SELECT days FROM audit_retention WHERE log_kind = 'platform'), FALSE)
    OR NOT EXISTS (
        SELECT 1 FROM audit_log l JOIN audit_leaf f ON f.log = l.id AND f.entry = OLD.n
        WHERE l.name = 'platform' AND f.idx < l.first)
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'platform_audit', 'DELETE of entry ' || OLD.n);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;

-- Where a log begins: later only by entries that are there and have expired. And it stays the log that it is.
CREATE TRIGGER audit_log_first BEFORE UPDATE ON audit_log
WHEN NEW.first > OLD.first AND (NEW.first > NEW.size OR EXISTS (
    SELECT 1 FROM audit_leaf f
        LEFT JOIN org_audit o ON OLD.name <> 'platform' AND o.n = f.entry
        LEFT JOIN platform_audit p ON OLD.name = 'platform' AND p.n = f.entry
    WHERE f.log = OLD.id AND f.idx >= OLD.first AND f.idx < NEW.first AND NOT COALESCE(
        COALESCE(o.time, p.time) < CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER) - 86400000 * (
            SELECT days FROM audit_retention
            WHERE log_kind = CASE OLD.name WHEN 'platform' THEN 'platform' ELSE 'org' END), FALSE)))
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_log', 'beginning of ' || OLD.name || ' from ' || OLD.first || ' to ' || NEW.first);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
DROP TRIGGER audit_log_shorter;
CREATE TRIGGER audit_log_shorter BEFORE UPDATE ON audit_log
WHEN NEW.size < OLD.size OR NEW.first < OLD.first OR NEW.name <> OLD.name OR NEW.id <> OLD.id
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_log', 'UPDATE of ' || OLD.name);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
DROP TRIGGER audit_log_delete;
CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_log', 'DELETE of ' || OLD.name);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;

-- The trees, as before, and told of.
DROP TRIGGER audit_leaf_update;
CREATE TRIGGER audit_leaf_update BEFORE UPDATE ON audit_leaf
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_leaf', 'UPDATE of ' || OLD.idx || ' of log ' || OLD.log);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
DROP TRIGGER audit_leaf_delete;
CREATE TRIGGER audit_leaf_delete BEFORE DELETE ON audit_leaf
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_leaf', 'DELETE of ' || OLD.idx || ' of log ' || OLD.log);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
DROP TRIGGER audit_node_update;
CREATE TRIGGER audit_node_update BEFORE UPDATE ON audit_node
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_node', 'UPDATE of ' || OLD.level || '/' || OLD.idx || ' of log ' || OLD.log);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
DROP TRIGGER audit_node_delete;
CREATE TRIGGER audit_node_delete BEFORE DELETE ON audit_node
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_node', 'DELETE of ' || OLD.level || '/' || OLD.idx || ' of log ' || OLD.log);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
DROP TRIGGER audit_checkpoint_update;
CREATE TRIGGER audit_checkpoint_update BEFORE UPDATE ON audit_checkpoint
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_checkpoint', 'UPDATE of ' || OLD.size || ' of log ' || OLD.log);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
DROP TRIGGER audit_checkpoint_delete;
CREATE TRIGGER audit_checkpoint_delete BEFORE DELETE ON audit_checkpoint
BEGIN
    INSERT INTO audit_notice (time, what, about, detail)
        VALUES (CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER), 'change_refused', 'audit_checkpoint', 'DELETE of ' || OLD.size || ' of log ' || OLD.log);
    SELECT RAISE(FAIL, 'the audit log is append-only');
END;
