-- Committed before the handler runs, so that a delivery which kills the process has been counted.
INSERT INTO mainstay_inbox (consumer, id, deliveries, seen_at) VALUES (?1, ?2, 1, ?3)
ON CONFLICT (consumer, id) DO UPDATE SET deliveries = deliveries + (done_at IS NULL)
RETURNING deliveries, done_at IS NOT NULL;
