-- A message of the log, or one that was tried before. A key's head is chosen afterwards.
INSERT INTO mainstay_due (seq, id, lane, topic, key, headers, payload, created_at,
                          ready, retry_at, tries, first_at, wait_ms, claims, uncertain)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?5 IS NULL, ?9, ?10, ?11, ?12, 0, ?13)
ON CONFLICT (seq) DO UPDATE
SET retry_at = ?9, tries = ?10, first_at = ?11, wait_ms = ?12, claims = 0, uncertain = ?13;
