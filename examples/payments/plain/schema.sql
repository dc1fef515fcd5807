-- One row an order. The primary key serves the look-up by order.
CREATE TABLE orders (
    order_id  TEXT PRIMARY KEY,
    status    TEXT NOT NULL,
    cents     INTEGER NOT NULL,
    charge_id TEXT
);

-- Payments as accounting sees them; only appended and read as a whole.
CREATE TABLE ledger (
    order_id TEXT NOT NULL,
    cents    INTEGER NOT NULL
);
