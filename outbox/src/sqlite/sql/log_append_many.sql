INSERT INTO mainstay_log (id, lane, topic, key, headers, payload, created_at)
