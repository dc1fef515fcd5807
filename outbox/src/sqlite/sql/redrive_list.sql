SELECT batch, at, act, operator, reason, filter, moved, finished_at
FROM mainstay_redrive WHERE batch > ?1 ORDER BY batch LIMIT ?2;
