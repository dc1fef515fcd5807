-- The highest fence that has written to each resource. Never edited once released.
-- Names compare by bytes. Room on each page and no index on `updated_at`, so that a row is updated
-- in place: a purge is rare, a fence is not.
CREATE TABLE IF NOT EXISTS mainstay_fence (
    resource   text COLLATE "C" NOT NULL PRIMARY KEY,
    token      bigint           NOT NULL,
    updated_at timestamptz      NOT NULL
) WITH (fillfactor = 70);
