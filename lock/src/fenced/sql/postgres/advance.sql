-- Moves the fence of a resource up to ours, never down, and gives the one that is stored now.
-- By primary key; the row stays locked until the transaction ends.
INSERT INTO mainstay_fence AS stored (resource, token, updated_at)
VALUES ($1, $2, now())
ON CONFLICT (resource) DO UPDATE SET
    updated_at = CASE WHEN excluded.token < stored.token THEN stored.updated_at ELSE excluded.updated_at END,
    token = greatest(stored.token, excluded.token)
RETURNING token
