-- The starter may finish late: what it knows is better than "unknown".
UPDATE mainstay_idempotency SET state = 1, result = ?3 WHERE key = ?1 AND token = ?2 AND state <> 1;
