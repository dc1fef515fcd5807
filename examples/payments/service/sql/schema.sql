-- One row an order. `version` changes with every step, so a step that was decided on an older row
-- changes nothing. The primary key serves the look-up by order.
CREATE TABLE orders (
    order_id  TEXT PRIMARY KEY,
    customer  TEXT NOT NULL,
    cents     INTEGER NOT NULL,
    stage     TEXT NOT NULL CHECK (stage IN ('accepted', 'charging', 'unknown', 'paid', 'refused')),
    version   INTEGER NOT NULL DEFAULT 1,
    attempt   INTEGER NOT NULL DEFAULT 0,
    charge_id TEXT,
    reason    TEXT
) WITHOUT ROWID;

-- One row for every time the bank was called about an order, written before the call.
CREATE TABLE attempts (
    order_id TEXT NOT NULL REFERENCES orders,
    attempt  INTEGER NOT NULL,
    outcome  TEXT NOT NULL,
    PRIMARY KEY (order_id, attempt)
) WITHOUT ROWID;

-- The ledger. Nothing here forbids a payment to stand in it twice: that is the inbox's work.
CREATE TABLE ledger (
    order_id TEXT NOT NULL,
    cents    INTEGER NOT NULL
);
