-- The gateways that decide from memory, and how far each has applied the change log (architecture §5.3, §5.4).

CREATE TABLE gateway_lease (
    boot TEXT PRIMARY KEY, -- one process of a gateway
    name TEXT NOT NULL, -- for people: where it listens
    policy_hash TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL, -- when it last renewed; 0: it has left
    applied BIGINT NOT NULL -- every change up to this one is in force there
);
