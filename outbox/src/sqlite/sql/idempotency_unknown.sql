UPDATE mainstay_idempotency SET state = 2 WHERE key = ?1 AND token = ?2 AND state = 0;
