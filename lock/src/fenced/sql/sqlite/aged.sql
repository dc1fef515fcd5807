-- Resources that nobody has written to for a while. Reads the table, locks nothing.
SELECT resource FROM mainstay_fence WHERE updated_at < unixepoch() - ?1 LIMIT ?2
