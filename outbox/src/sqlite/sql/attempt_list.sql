SELECT n, at, class, error, relay FROM mainstay_attempt WHERE id = ?1 ORDER BY n;
