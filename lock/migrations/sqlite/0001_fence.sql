-- The highest fence that has written to each resource. Never edited once released.
-- No index on `updated_at`: it would be written with every fence, and a purge is rare.
CREATE TABLE IF NOT EXISTS mainstay_fence (
    resource   TEXT    NOT NULL PRIMARY KEY,
    token      INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) WITHOUT ROWID;
