SELECT COUNT(*), COALESCE(MAX(seq), 0)
FROM mainstay_dead
WHERE (?1 IS NULL OR id = ?1)
  AND (?2 IS NULL OR topic = ?2)
  AND (?3 IS NULL OR key = ?3)
  AND (?4 IS NULL OR lane = ?4)
  AND (?5 IS NULL OR class = ?5)
  AND (?6 IS NULL OR reason = ?6)
  AND (?7 IS NULL OR died_at >= ?7)
  AND (?8 IS NULL OR died_at < ?8);
