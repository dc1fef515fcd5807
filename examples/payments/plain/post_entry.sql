INSERT INTO ledger (order_id, cents) VALUES (?, ?)
