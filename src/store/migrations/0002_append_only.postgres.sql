-- Entries are never changed and never deleted, by nobody: not by the owner of the tables, and not by a superuser
-- who sets `session_replication_role` (ENABLE ALWAYS).

CREATE FUNCTION drawbridge_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;

CREATE TRIGGER org_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON org_audit
    FOR EACH STATEMENT EXECUTE FUNCTION drawbridge_append_only();
CREATE TRIGGER platform_audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON platform_audit
    FOR EACH STATEMENT EXECUTE FUNCTION drawbridge_append_only();
ALTER TABLE org_audit ENABLE ALWAYS TRIGGER org_audit_append_only;
ALTER TABLE platform_audit ENABLE ALWAYS TRIGGER platform_audit_append_only;
