UPDATE orders
SET stage = ?, attempt = ?, charge_id = ?, reason = ?, version = version + 1
WHERE order_id = ? AND version = ?
