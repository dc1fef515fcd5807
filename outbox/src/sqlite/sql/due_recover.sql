-- The window that a dead relay had claimed. Heads of keys are chosen afterwards.
INSERT INTO mainstay_due (seq, id, lane, topic, key, headers, payload, created_at, ready, retry_at, claims, uncertain)
SELECT seq, id, lane, topic, key, headers, payload, created_at, key IS NULL, ?4, 1, 1
FROM mainstay_log
WHERE lane = ?1 AND seq > ?2 AND seq <= ?3;
