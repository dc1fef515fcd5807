-- What the user's own transaction writes.
CREATE TABLE purchase (
    id       INTEGER PRIMARY KEY,
    customer INTEGER NOT NULL,
    cents    INTEGER NOT NULL
);
-- The least that somebody would store who writes an outbox by hand.
CREATE TABLE plain_log (
    seq     INTEGER PRIMARY KEY,
    id      BLOB    NOT NULL,
    topic   TEXT    NOT NULL,
    key     TEXT,
    payload BLOB    NOT NULL
);
CREATE TABLE plain_cursor (position INTEGER NOT NULL);
INSERT INTO plain_cursor VALUES (0);
