SELECT status, cents, charge_id FROM orders WHERE order_id = ?
