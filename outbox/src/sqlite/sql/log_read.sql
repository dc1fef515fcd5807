-- `parked`: an earlier message of the same key waits in `due`, so this one goes behind it.
SELECT l.seq, l.id, l.topic, l.key, l.headers, l.payload, l.created_at,
       EXISTS (SELECT 1 FROM mainstay_due d WHERE d.lane = l.lane AND d.key = l.key) AS parked
FROM mainstay_log l
WHERE l.lane = ?1 AND l.seq > ?2
ORDER BY l.seq
LIMIT ?3;
