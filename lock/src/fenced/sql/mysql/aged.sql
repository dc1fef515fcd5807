-- Resources that nobody has written to for a while. Reads the table, locks nothing.
SELECT resource FROM mainstay_fence WHERE updated_at < UTC_TIMESTAMP() - INTERVAL ? SECOND LIMIT ?
