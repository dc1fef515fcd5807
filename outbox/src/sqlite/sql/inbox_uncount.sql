-- The handler came back, with an error: it does not kill its process.
UPDATE mainstay_inbox SET deliveries = 0 WHERE consumer = ?1 AND id = ?2 AND done_at IS NULL;
