UPDATE attempts SET outcome = ? WHERE order_id = ? AND attempt = ?
