INSERT INTO mainstay_log (id, lane, topic, key, headers, payload, created_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);
