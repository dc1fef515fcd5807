-- Changes no row if the consumer has already done this message.
INSERT INTO mainstay_inbox (consumer, id, seen_at, done_at) VALUES (?1, ?2, ?3, ?3)
ON CONFLICT (consumer, id) DO UPDATE SET done_at = excluded.done_at WHERE done_at IS NULL;
