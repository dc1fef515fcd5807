-- One look per poll, without a write: is the lane mine, is something to do, and when is the next thing due?
SELECT COALESCE(c.owner, ''), COALESCE(c.lease_until, 0),
       COALESCE(c.claimed_to, 0) > COALESCE(c.position, 0)
           OR EXISTS (SELECT 1 FROM mainstay_log l WHERE l.lane = ?1 AND l.seq > COALESCE(c.position, 0)),
       (SELECT MIN(d.retry_at) FROM mainstay_due d WHERE d.lane = ?1 AND d.ready = 1),
       (SELECT MIN(s.due_at) FROM mainstay_schedule s WHERE s.lane = ?1)
FROM (SELECT 1) LEFT JOIN mainstay_cursor c ON c.lane = ?1;
