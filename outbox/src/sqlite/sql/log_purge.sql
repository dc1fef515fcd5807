-- Looks at the oldest rows only, whether or not they are old enough.
DELETE FROM mainstay_log WHERE seq IN (
    SELECT seq FROM (
        SELECT seq, created_at FROM mainstay_log WHERE lane = ?1 AND seq <= ?2 ORDER BY seq LIMIT ?4
    ) WHERE created_at < ?3
);
