-- The leaf that each pending entry becomes, so that the sequencer need not read the entries again. Empty: it does.
ALTER TABLE audit_pending ADD COLUMN leaves TEXT NOT NULL DEFAULT '';
