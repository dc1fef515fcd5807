-- The highest fence that has written to each resource. Never edited once released.
-- Names are bytes: a collation would take `Order` and `order`, or `a` and `a `, for one resource.
-- No index on `updated_at`: it would be written with every fence, and a purge is rare.
CREATE TABLE IF NOT EXISTS mainstay_fence (
    resource   VARBINARY(512) NOT NULL PRIMARY KEY,
    token      BIGINT         NOT NULL,
    updated_at DATETIME       NOT NULL
) ENGINE = InnoDB;
