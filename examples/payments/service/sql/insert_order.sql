INSERT INTO orders (order_id, customer, cents, stage, reason)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
