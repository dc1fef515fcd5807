INSERT INTO attempts (order_id, attempt, outcome) VALUES (?, ?, 'open')
