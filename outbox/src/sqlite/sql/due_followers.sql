-- `stops`: neither this row nor one behind it may be sent with the head.
SELECT seq, id, topic, key, headers, payload, created_at, tries, first_at, wait_ms, claims, uncertain,
       stone = 1 OR claims > 0 OR retry_at > ?5 AS stops
FROM mainstay_due
WHERE lane = ?1 AND key = ?2 AND seq > ?3
ORDER BY seq
LIMIT ?4;
