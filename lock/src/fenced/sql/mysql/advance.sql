-- Moves the fence of a resource up to ours, never down, and gives the one that is stored now: as the
-- statement's last insert id, because MySQL returns no rows here.
-- By primary key; the row stays locked until the transaction ends. Assignments are made left to right.
INSERT INTO mainstay_fence (resource, token, updated_at)
VALUES (?, LAST_INSERT_ID(?), UTC_TIMESTAMP())
ON DUPLICATE KEY UPDATE
    updated_at = IF(VALUES(token) < token, updated_at, VALUES(updated_at)),
    token = LAST_INSERT_ID(GREATEST(token, VALUES(token)))
