DELETE FROM mainstay_idempotency WHERE key IN (
    SELECT key FROM mainstay_idempotency WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2
);
