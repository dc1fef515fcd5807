INSERT INTO mainstay_dead (seq, id, lane, topic, key, headers, payload, created_at, died_at, reason, class, error)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12);
