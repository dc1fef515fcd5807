-- Forgets a fence unless it was written meanwhile. By primary key, so that no other row is locked.
DELETE FROM mainstay_fence WHERE resource = ? AND updated_at < UTC_TIMESTAMP() - INTERVAL ? SECOND
