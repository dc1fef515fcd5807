SELECT DISTINCT key FROM mainstay_log WHERE lane = ?1 AND seq > ?2 AND seq <= ?3 AND key IS NOT NULL;
