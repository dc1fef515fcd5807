DELETE FROM mainstay_idempotency
WHERE key = ?1 AND (state = 2 OR (state = 0 AND lease_until <= ?2));
