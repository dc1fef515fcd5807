-- Moves the fence of a resource up to ours, never down, and gives the one that is stored now.
-- By primary key; the row stays locked until the transaction ends.
INSERT INTO mainstay_fence (resource, token, updated_at)
VALUES (?1, ?2, unixepoch())
ON CONFLICT (resource) DO UPDATE SET
    updated_at = CASE WHEN excluded.token < token THEN updated_at ELSE excluded.updated_at END,
    token = max(token, excluded.token)
RETURNING token
