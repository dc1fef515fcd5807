-- Versions of the schema that were applied; read and written inside one transaction.
CREATE TABLE IF NOT EXISTS mainstay_schema (
    version    INTEGER PRIMARY KEY,
    applied_at INTEGER NOT NULL
);
