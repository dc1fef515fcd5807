UPDATE mainstay_idempotency SET state = 2 WHERE key = ?1 AND state = 0 AND lease_until <= ?2;
