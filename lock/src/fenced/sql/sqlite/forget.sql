-- Forgets a fence unless it was written meanwhile. By primary key.
DELETE FROM mainstay_fence WHERE resource = ?1 AND updated_at < unixepoch() - ?2
