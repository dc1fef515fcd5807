-- One counter for each lock, with the highest fence that wrote it. A few rows, found by their primary key.
CREATE TABLE IF NOT EXISTS counter (
    key   text PRIMARY KEY,
    token bigint NOT NULL,
    value bigint NOT NULL
);
