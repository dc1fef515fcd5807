INSERT OR REPLACE INTO orders (order_id, status, cents, charge_id) VALUES (?, 'paid', ?, ?)
