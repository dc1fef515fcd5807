-- A delivery that was begun and never finished is tried alone, so that it takes no neighbour with it.
SELECT seq, id, topic, key, headers, payload, created_at, tries, first_at, wait_ms, claims, uncertain
FROM mainstay_due
WHERE lane = ?1 AND claims > 0 AND ready = 1
ORDER BY seq
LIMIT 1;
