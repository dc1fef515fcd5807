SELECT seq, id, topic, key, headers, payload, created_at
FROM mainstay_log
WHERE lane = 'live' AND seq > ?1
ORDER BY seq
LIMIT ?2
