INSERT INTO mainstay_log (id, lane, topic, key, headers, payload, created_at)
SELECT id, lane, topic, key, headers, payload, ?2
FROM mainstay_schedule
WHERE lane = ?1 AND due_at <= ?2
ORDER BY due_at, pos
LIMIT ?3;
