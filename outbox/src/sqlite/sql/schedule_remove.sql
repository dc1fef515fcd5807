-- The same rows as schedule_move, in the same transaction.
DELETE FROM mainstay_schedule WHERE pos IN (
    SELECT pos FROM mainstay_schedule
    WHERE lane = ?1 AND due_at <= ?2
    ORDER BY due_at, pos
    LIMIT ?3
);
