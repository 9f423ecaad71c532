-- What lists of the logs are asked for: without these a value that is rare is looked for in the whole log.
CREATE INDEX org_audit_actor ON org_audit (org_id, actor, n) WHERE stage <> 'outcome';
CREATE INDEX org_audit_event ON org_audit (org_id, event, n) WHERE stage <> 'outcome';
CREATE INDEX org_audit_action ON org_audit (org_id, action, n) WHERE stage <> 'outcome' AND action IS NOT NULL;
CREATE INDEX org_audit_denied ON org_audit (org_id, n) WHERE stage <> 'outcome' AND decision = 'deny';
CREATE INDEX platform_audit_actor ON platform_audit (actor, n) WHERE stage <> 'outcome';
CREATE INDEX platform_audit_event ON platform_audit (event, n) WHERE stage <> 'outcome';
CREATE INDEX platform_audit_action ON platform_audit (action, n) WHERE stage <> 'outcome' AND action IS NOT NULL;
CREATE INDEX platform_audit_denied ON platform_audit (n) WHERE stage <> 'outcome' AND decision = 'deny';
CREATE INDEX platform_audit_ticket ON platform_audit (ticket_ref, n) WHERE stage <> 'outcome' AND ticket_ref IS NOT NULL;
CREATE INDEX org_audit_time ON org_audit (org_id, time, n) WHERE stage <> 'outcome';
CREATE INDEX platform_audit_time ON platform_audit (time, n) WHERE stage <> 'outcome';
