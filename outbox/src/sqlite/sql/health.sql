-- Lanes are found by skipping from one to the next, so the log costs one index range per lane; `due` is counted whole.
WITH RECURSIVE found (lane) AS (
    SELECT MIN(lane) FROM mainstay_log
    UNION ALL
    SELECT (SELECT MIN(l.lane) FROM mainstay_log l WHERE l.lane > found.lane) FROM found WHERE found.lane IS NOT NULL
),
lanes (lane, position) AS (
    SELECT f.lane, COALESCE((SELECT c.position FROM mainstay_cursor c WHERE c.lane = f.lane), 0)
    FROM found f WHERE f.lane IS NOT NULL
)
SELECT
    (SELECT COUNT(*) FROM lanes n JOIN mainstay_log l ON l.lane = n.lane AND l.seq > n.position),
    (SELECT COUNT(*) FROM mainstay_schedule),
    (SELECT COUNT(*) FROM mainstay_due WHERE ready = 1),
    (SELECT COUNT(*) FROM mainstay_due WHERE ready = 0 AND stone = 0),
    (SELECT COUNT(*) FROM mainstay_due WHERE stone = 1),
    (SELECT COUNT(*) FROM mainstay_dead),
    (SELECT MIN(l.created_at) FROM lanes n JOIN mainstay_log l
        ON l.seq = (SELECT MIN(f.seq) FROM mainstay_log f WHERE f.lane = n.lane AND f.seq > n.position)),
    (SELECT MIN(created_at) FROM mainstay_due WHERE stone = 0);
