-- The earliest message of a key becomes its head, unless it is the stone of a dead one.
UPDATE mainstay_due SET ready = 1
WHERE seq = (SELECT d.seq FROM mainstay_due d WHERE d.lane = ?1 AND d.key = ?2 ORDER BY d.seq LIMIT 1)
  AND ready = 0 AND stone = 0
  AND NOT EXISTS (SELECT 1 FROM mainstay_due h WHERE h.lane = ?1 AND h.key = ?2 AND h.ready = 1);
