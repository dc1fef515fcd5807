INSERT INTO mainstay_schedule (id, lane, topic, key, headers, payload, created_at, due_at)
