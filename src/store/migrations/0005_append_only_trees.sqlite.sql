-- The trees only grow.

CREATE TRIGGER audit_leaf_update BEFORE UPDATE ON audit_leaf
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_leaf_delete BEFORE DELETE ON audit_leaf
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_node_update BEFORE UPDATE ON audit_node
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_node_delete BEFORE DELETE ON audit_node
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_checkpoint_update BEFORE UPDATE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_checkpoint_delete BEFORE DELETE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_log_shorter BEFORE UPDATE ON audit_log WHEN NEW.size < OLD.size OR NEW.first < OLD.first
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
