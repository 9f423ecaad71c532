-- The trees only grow: not even their owner shortens them.

CREATE TRIGGER audit_leaf_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_leaf
    FOR EACH STATEMENT EXECUTE FUNCTION drawbridge_append_only();
CREATE TRIGGER audit_node_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_node
    FOR EACH STATEMENT EXECUTE FUNCTION drawbridge_append_only();
CREATE TRIGGER audit_checkpoint_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION drawbridge_append_only();
CREATE TRIGGER audit_log_append_only BEFORE DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION drawbridge_append_only();
CREATE TRIGGER audit_log_shorter BEFORE UPDATE ON audit_log
    FOR EACH ROW WHEN (NEW.size < OLD.size OR NEW.first < OLD.first) EXECUTE FUNCTION drawbridge_append_only();
ALTER TABLE audit_leaf ENABLE ALWAYS TRIGGER audit_leaf_append_only;
ALTER TABLE audit_node ENABLE ALWAYS TRIGGER audit_node_append_only;
ALTER TABLE audit_checkpoint ENABLE ALWAYS TRIGGER audit_checkpoint_append_only;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_append_only;
ALTER TABLE audit_log ENABLE ALWAYS TRIGGER audit_log_shorter;
