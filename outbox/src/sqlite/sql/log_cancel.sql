-- Reads the unclaimed backlog of each lane: the log has no index on the id, which every enqueue would pay for.
WITH RECURSIVE found (lane) AS (
    SELECT MIN(lane) FROM mainstay_log
    UNION ALL
    SELECT (SELECT MIN(l.lane) FROM mainstay_log l WHERE l.lane > found.lane) FROM found WHERE found.lane IS NOT NULL
),
lanes (lane, claimed_to) AS (
    SELECT f.lane, COALESCE((SELECT c.claimed_to FROM mainstay_cursor c WHERE c.lane = f.lane), 0)
    FROM found f WHERE f.lane IS NOT NULL
)
DELETE FROM mainstay_log WHERE seq IN (
    SELECT l.seq FROM lanes n CROSS JOIN mainstay_log l ON l.lane = n.lane AND l.seq > n.claimed_to
    WHERE l.id = ?1
);
