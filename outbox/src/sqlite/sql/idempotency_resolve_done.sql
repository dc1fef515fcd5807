UPDATE mainstay_idempotency SET state = 1, result = ?2
WHERE key = ?1 AND (state = 2 OR (state = 0 AND lease_until <= ?3));
