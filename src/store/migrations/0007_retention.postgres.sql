-- What may leave the logs, and nothing else (architecture §6): an entry goes once it is older than its log's
-- retention, and only from the beginning of the log. That holds for every role (ENABLE ALWAYS). Gateways have no
-- DELETE: they call `drawbridge_expire`, which is the owner's and looks at the server's clock itself.

-- Days that entries are kept: written by `drawbridge migrate`, as the owner, alone.
CREATE TABLE audit_retention (
    log_kind TEXT PRIMARY KEY CHECK (log_kind IN ('org', 'platform')),
    days BIGINT NOT NULL CHECK (days BETWEEN 1 AND 36500),
    changed BIGINT NOT NULL DEFAULT 0
);
INSERT INTO audit_retention (log_kind, days) VALUES ('org', 90), ('platform', 365);

-- What the database itself has to tell; a gateway makes entries of it. A refused statement leaves nothing in a
-- PostgreSQL database: the server's own log tells of it.
CREATE TABLE audit_notice (
    id {serial},
    time BIGINT NOT NULL,
    what TEXT NOT NULL,
    about TEXT NOT NULL,
    detail TEXT NOT NULL
);

-- The time before which entries of this kind of log have expired. NULL, which nothing is before, without a row.
CREATE FUNCTION drawbridge_cutoff(kind TEXT) RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
    SELECT CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT) - 86400000 * days
    FROM audit_retention WHERE log_kind = kind
$$;

-- Of the leaves from `beginning` up to `upto`, the first that must stay: young, or gone without having expired.
CREATE FUNCTION drawbridge_must_stay(which BIGINT, log_name TEXT, beginning BIGINT, upto BIGINT) RETURNS BIGINT
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    kind TEXT := CASE log_name WHEN 'platform' THEN 'platform' ELSE 'org' END;
    cutoff BIGINT := drawbridge_cutoff(kind);
    stays BIGINT;
BEGIN
    IF kind = 'platform' THEN
        SELECT min(f.idx) INTO stays FROM audit_leaf f LEFT JOIN platform_audit e ON e.n = f.entry
        WHERE f.log = which AND f.idx >= beginning AND f.idx < upto
            AND NOT COALESCE(e.time < cutoff, FALSE);
    ELSE
        SELECT min(f.idx) INTO stays FROM audit_leaf f LEFT JOIN org_audit e ON e.n = f.entry
        WHERE f.log = which AND f.idx >= beginning AND f.idx < upto
            AND NOT COALESCE(e.time < cutoff, FALSE);
    END IF;
    RETURN stays;
END
$$;

CREATE FUNCTION drawbridge_keep_entry() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    log_name TEXT;
BEGIN
    log_name := CASE TG_ARGV[0] WHEN 'platform' THEN 'platform' ELSE OLD.org_id END;
    IF COALESCE(OLD.time < drawbridge_cutoff(TG_ARGV[0]), FALSE) AND EXISTS (
        SELECT 1 FROM audit_log l JOIN audit_leaf f ON f.log = l.id AND f.entry = OLD.n
        WHERE l.name = log_name AND f.idx < l.first)
    THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only' USING DETAIL = 'entry ' || OLD.n || ' has not expired';
END
$$;

DROP TRIGGER org_audit_append_only ON org_audit;
DROP TRIGGER platform_audit_append_only ON platform_audit;
CREATE TRIGGER org_audit_append_only BEFORE UPDATE OR TRUNCATE ON org_audit
    FOR EACH STATEMENT EXECUTE FUNCTION drawbridge_append_only();
CREATE TRIGGER platform_audit_append_only BEFORE UPDATE OR TRUNCATE ON platform_audit
    FOR EACH STATEMENT EXECUTE FUNCTION drawbridge_append_only();
CREATE TRIGGER org_audit_keep BEFORE DELETE ON org_audit
    FOR EACH ROW EXECUTE FUNCTION drawbridge_keep_entry('org');
CREATE TRIGGER platform_audit_keep BEFORE DELETE ON platform_audit
    FOR EACH ROW EXECUTE FUNCTION drawbridge_keep_entry('platform');
ALTER TABLE org_audit ENABLE ALWAYS TRIGGER org_audit_append_only;
ALTER TABLE platform_audit ENABLE ALWAYS TRIGGER platform_audit_append_only;
ALTER TABLE org_audit ENABLE ALWAYS TRIGGER org_audit_keep;
ALTER TABLE platform_audit ENABLE ALWAYS TRIGGER platform_audit_keep;

-- Where a log begins: later only by entries that are there and have expired. And it stays the log that it is.
CREATE FUNCTION drawbridge_keep_beginning() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.first > NEW.size OR drawbridge_must_stay(OLD.id, OLD.name, OLD.first, NEW.first) IS NOT NULL THEN
        RAISE EXCEPTION 'the audit log is append-only' USING DETAIL = 'not all before ' || NEW.first || ' have expired';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_log_first BEFORE UPDATE ON audit_log
    FOR EACH ROW WHEN (NEW.first > OLD.first) EXECUTE FUNCTION drawbridge_keep_beginning();
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_first;
DROP TRIGGER audit_log_shorter ON audit_log;
CREATE TRIGGER audit_log_shorter BEFORE UPDATE ON audit_log
    FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.first < OLD.first OR NEW.name <> OLD.name OR NEW.id <> OLD.id)
    EXECUTE FUNCTION drawbridge_append_only();
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_shorter;

-- The way out: the entries of log `which` before leaf `upto` go, at most 1,000 at a time; how many went. It looks by
-- itself whether they have expired, so it holds even where somebody has switched the triggers off.
CREATE FUNCTION drawbridge_expire(which BIGINT, upto BIGINT) RETURNS BIGINT
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    log_name TEXT;
    beginning BIGINT;
    leaves BIGINT;
    stays BIGINT;
    gone BIGINT;
BEGIN
    SELECT name, first, size INTO log_name, beginning, leaves FROM audit_log WHERE id = which FOR UPDATE;
    IF log_name IS NULL OR upto <= beginning THEN
        RETURN 0;
    END IF;
    IF upto > leaves OR upto - beginning > 1000 THEN
        RAISE EXCEPTION 'entries leave a log in its order, at most 1000 at a time';
    END IF;
    stays := drawbridge_must_stay(which, log_name, beginning, upto);
    IF stays IS NOT NULL THEN
        RAISE EXCEPTION 'entry % of the log % has not expired', stays, log_name;
    END IF;
    UPDATE audit_log SET first = upto WHERE id = which;
    IF log_name = 'platform' THEN
        DELETE FROM platform_audit e USING audit_leaf f
        WHERE f.log = which AND f.idx >= beginning AND f.idx < upto AND e.n = f.entry;
    ELSE
        DELETE FROM org_audit e USING audit_leaf f
        WHERE f.log = which AND f.idx >= beginning AND f.idx < upto AND e.n = f.entry;
    END IF;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;

-- A shorter or longer retention is told of in the platform's log.
CREATE FUNCTION drawbridge_retention_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_notice (time, what, about, detail) VALUES (
        CAST(floor(extract(epoch FROM clock_timestamp()) * 1000) AS BIGINT), 'retention_changed', OLD.log_kind,
        OLD.days || ' to ' || NEW.days || ' days');
    RETURN NEW;
END
$$;
CREATE TRIGGER audit_retention_changed AFTER UPDATE ON audit_retention
    FOR EACH ROW WHEN (NEW.days <> OLD.days) EXECUTE FUNCTION drawbridge_retention_changed();
CREATE TRIGGER audit_retention_kept BEFORE DELETE OR TRUNCATE ON audit_retention
    FOR EACH STATEMENT EXECUTE FUNCTION drawbridge_append_only();
ALTER TABLE audit_retention ENABLE ALWAYS TRIGGER audit_retention_changed;
ALTER TABLE audit_retention ENABLE ALWAYS TRIGGER audit_retention_kept;

-- The names in these functions are those of this schema, whatever the caller's search path (or temporary tables) say.
DO $$
DECLARE
    ours TEXT;
BEGIN
    FOREACH ours IN ARRAY ARRAY[
        'drawbridge_cutoff(text)', 'drawbridge_must_stay(bigint, text, bigint, bigint)', 'drawbridge_keep_entry()',
        'drawbridge_keep_beginning()', 'drawbridge_expire(bigint, bigint)', 'drawbridge_retention_changed()']
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET search_path = pg_catalog, %I, pg_temp', ours, current_schema());
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', ours);
    END LOOP;
END
$$;
