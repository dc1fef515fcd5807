-- History of messages that are still unsent or dead is kept.
DELETE FROM mainstay_attempt WHERE (id, n) IN (
    SELECT a.id, a.n FROM mainstay_attempt a
    WHERE a.at < ?1
      AND NOT EXISTS (SELECT 1 FROM mainstay_dead d WHERE d.id = a.id)
      AND NOT EXISTS (SELECT 1 FROM mainstay_due q WHERE q.id = a.id)
    ORDER BY a.at LIMIT ?2
);
