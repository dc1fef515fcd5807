SELECT order_id, cents FROM ledger
