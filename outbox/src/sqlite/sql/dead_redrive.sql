-- Takes the place it had in its key; a stone that kept the place is replaced. Budgets start anew.
INSERT INTO mainstay_due (seq, id, lane, topic, key, headers, payload, created_at, ready, retry_at, uncertain)
SELECT seq, id, lane, topic, key, headers, payload, created_at, key IS NULL, ?2, 1
FROM mainstay_dead WHERE seq = ?1
ON CONFLICT (seq) DO UPDATE
SET headers = excluded.headers, payload = excluded.payload, stone = 0, retry_at = ?2,
    tries = 0, first_at = NULL, wait_ms = 0, claims = 0, uncertain = 1;
