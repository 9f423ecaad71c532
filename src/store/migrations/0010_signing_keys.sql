-- Keys are published before they sign: from then on. Those that are there sign already.
ALTER TABLE signing_key ADD COLUMN signs_from BIGINT NOT NULL DEFAULT 0;
