-- Entries are never changed and never deleted. `INSERT OR REPLACE` is stopped too, by `recursive_triggers` on every connection.

CREATE TRIGGER org_audit_update BEFORE UPDATE ON org_audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER org_audit_delete BEFORE DELETE ON org_audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER platform_audit_update BEFORE UPDATE ON platform_audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER platform_audit_delete BEFORE DELETE ON platform_audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
