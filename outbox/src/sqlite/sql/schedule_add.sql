INSERT INTO mainstay_schedule (id, lane, topic, key, headers, payload, created_at, due_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);
