-- Holds the place of a dead message, so that its key waits for an operator.
INSERT INTO mainstay_due (seq, id, lane, topic, key, headers, payload, created_at, ready, stone, retry_at)
SELECT seq, id, lane, topic, key, '{}', x'', created_at, 0, 1, 0 FROM mainstay_dead WHERE seq = ?1;
