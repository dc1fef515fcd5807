-- Counts one more unless a higher fence wrote before. Uses the primary key.
INSERT INTO counter (key, token, value)
VALUES ($1, $2, 1)
ON CONFLICT (key) DO UPDATE
SET token = excluded.token, value = counter.value + 1
WHERE counter.token <= excluded.token;
