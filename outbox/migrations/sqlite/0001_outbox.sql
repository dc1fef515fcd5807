-- The log of unsent and recently sent messages. Rows are appended and, long after, purged; never updated.
-- SQLite has one writer at a time, so the order of `seq` is the order of commits: a reader that has
-- seen `seq` n can never meet a lower one later.
CREATE TABLE mainstay_log (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB    NOT NULL,
    lane       TEXT    NOT NULL,
    topic      TEXT    NOT NULL,
    key        TEXT,
    headers    TEXT    NOT NULL,
    payload    BLOB    NOT NULL,
    created_at INTEGER NOT NULL
);
-- The relay of one lane reads `lane = ? AND seq > ?` without meeting the rows of other lanes.
CREATE INDEX mainstay_log_lane ON mainstay_log (lane, seq);

-- Messages for later. When due they are appended to the log and get their place there.
CREATE TABLE mainstay_schedule (
    pos        INTEGER PRIMARY KEY AUTOINCREMENT,
    id         BLOB    NOT NULL,
    lane       TEXT    NOT NULL,
    topic      TEXT    NOT NULL,
    key        TEXT,
    headers    TEXT    NOT NULL,
    payload    BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    due_at     INTEGER NOT NULL
);
CREATE INDEX mainstay_schedule_due ON mainstay_schedule (lane, due_at, pos);
CREATE INDEX mainstay_schedule_id ON mainstay_schedule (id);

-- One row per lane: how far the log was sent, and who sends.
-- `claimed_to` is written before a batch is published, `position` after it was confirmed; what lies
-- between them after a crash may have been sent.
CREATE TABLE mainstay_cursor (
    lane        TEXT    PRIMARY KEY,
    owner       TEXT,
    epoch       INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER NOT NULL DEFAULT 0,
    position    INTEGER NOT NULL DEFAULT 0,
    claimed_to  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- Messages that left the log unsent: to be retried, or parked behind an earlier message of their key.
-- `ready` marks the head of a key and every message without one. A `stone` holds the place of a dead
-- message whose key is blocked. `claims` counts deliveries that were begun and not finished.
CREATE TABLE mainstay_due (
    seq        INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL,
    lane       TEXT    NOT NULL,
    topic      TEXT    NOT NULL,
    key        TEXT,
    headers    TEXT    NOT NULL,
    payload    BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    ready      INTEGER NOT NULL,
    stone      INTEGER NOT NULL DEFAULT 0,
    retry_at   INTEGER NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    first_at   INTEGER,
    wait_ms    INTEGER NOT NULL DEFAULT 0,
    claims     INTEGER NOT NULL DEFAULT 0,
    uncertain  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX mainstay_due_ready ON mainstay_due (lane, retry_at, seq) WHERE ready = 1;
-- Finds the head and the followers of a key, and whether a key is parked at all.
CREATE INDEX mainstay_due_key ON mainstay_due (lane, key, seq) WHERE key IS NOT NULL;
-- A key never has two heads.
CREATE UNIQUE INDEX mainstay_due_head ON mainstay_due (lane, key) WHERE ready = 1 AND key IS NOT NULL;
CREATE INDEX mainstay_due_claimed ON mainstay_due (lane, seq) WHERE claims > 0;
CREATE INDEX mainstay_due_id ON mainstay_due (id);

-- What became of every counted attempt. Appended only, kept when a message is redriven.
CREATE TABLE mainstay_attempt (
    id    BLOB    NOT NULL,
    n     INTEGER NOT NULL,
    at    INTEGER NOT NULL,
    class TEXT    NOT NULL,
    error TEXT    NOT NULL,
    relay TEXT    NOT NULL,
    PRIMARY KEY (id, n)
) WITHOUT ROWID;
CREATE INDEX mainstay_attempt_at ON mainstay_attempt (at);

-- Messages that were given up. Paged by `seq`, which is also the order of a key.
CREATE TABLE mainstay_dead (
    seq        INTEGER PRIMARY KEY,
    id         BLOB    NOT NULL,
    lane       TEXT    NOT NULL,
    topic      TEXT    NOT NULL,
    key        TEXT,
    headers    TEXT    NOT NULL,
    payload    BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    died_at    INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    class      TEXT    NOT NULL,
    error      TEXT    NOT NULL
);
CREATE INDEX mainstay_dead_id ON mainstay_dead (id);
CREATE INDEX mainstay_dead_topic ON mainstay_dead (topic, seq);

-- Who brought dead messages back or threw them away, and why. The row is written before the act.
CREATE TABLE mainstay_redrive (
    batch       INTEGER PRIMARY KEY AUTOINCREMENT,
    at          INTEGER NOT NULL,
    act         TEXT    NOT NULL,
    operator    TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    filter      TEXT    NOT NULL,
    moved       INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER
);

-- What each consumer has done: `done_at` is set in the consumer's own transaction.
-- `deliveries` counts those begun after the first, before their handler ran.
CREATE TABLE mainstay_inbox (
    consumer   TEXT    NOT NULL,
    id         BLOB    NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    seen_at    INTEGER NOT NULL,
    done_at    INTEGER,
    PRIMARY KEY (consumer, id)
) WITHOUT ROWID;
CREATE INDEX mainstay_inbox_seen ON mainstay_inbox (seen_at);

-- Idempotency keys. `state`: 0 started, 1 done, 2 unknown.
CREATE TABLE mainstay_idempotency (
    key         TEXT    PRIMARY KEY,
    fingerprint BLOB,
    state       INTEGER NOT NULL,
    token       BLOB    NOT NULL,
    lease_until INTEGER NOT NULL,
    result      BLOB,
    created_at  INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX mainstay_idempotency_expires ON mainstay_idempotency (expires_at);
