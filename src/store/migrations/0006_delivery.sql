-- How far each receiver of the logs has come: the index of the first entry that it hasn't got. `sink` is its name in
-- the configuration.
CREATE TABLE audit_delivery (
    sink TEXT NOT NULL,
    log TEXT NOT NULL, -- 'platform', or the id of an org
    next BIGINT NOT NULL,
    PRIMARY KEY (sink, log)
) {without_rowid};

-- Which gateway delivers to it, until when by the database's clock. One at a time keeps the order.
CREATE TABLE audit_delivery_lease (
    sink TEXT NOT NULL PRIMARY KEY,
    holder TEXT NOT NULL,
    until BIGINT NOT NULL
) {without_rowid};
