-- The effect did certainly not happen: the key may be used again.
DELETE FROM mainstay_idempotency WHERE key = ?1 AND token = ?2 AND state = 0;
