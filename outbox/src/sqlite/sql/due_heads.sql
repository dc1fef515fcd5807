SELECT seq, id, topic, key, headers, payload, created_at, tries, first_at, wait_ms, claims, uncertain
FROM mainstay_due
WHERE lane = ?1 AND ready = 1 AND retry_at <= ?2
ORDER BY retry_at, seq
LIMIT ?3;
