-- Keyset by `seq`: rows that leave while the pages are read shift nothing.
SELECT seq, id, lane, topic, key, headers, payload, created_at, died_at, reason, class, error
FROM mainstay_dead
WHERE seq > ?1 AND seq <= ?2
  AND (?3 IS NULL OR id = ?3)
  AND (?4 IS NULL OR topic = ?4)
  AND (?5 IS NULL OR key = ?5)
  AND (?6 IS NULL OR lane = ?6)
  AND (?7 IS NULL OR class = ?7)
  AND (?8 IS NULL OR reason = ?8)
  AND (?9 IS NULL OR died_at >= ?9)
  AND (?10 IS NULL OR died_at < ?10)
ORDER BY seq
LIMIT ?11;
