INSERT INTO mainstay_attempt (id, n, at, class, error, relay)
SELECT ?1, COALESCE(MAX(n), 0) + 1, ?2, ?3, ?4, ?5 FROM mainstay_attempt WHERE id = ?1;
