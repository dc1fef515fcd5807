SELECT customer, cents, stage, version, attempt, charge_id, reason FROM orders WHERE order_id = ?
