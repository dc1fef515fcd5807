-- Replaces nothing but a key that has expired; the caller has looked in the same transaction.
INSERT INTO mainstay_idempotency (key, fingerprint, state, token, lease_until, created_at, expires_at)
VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6)
ON CONFLICT (key) DO UPDATE
SET fingerprint = ?2, state = 0, token = ?3, lease_until = ?4, result = NULL, created_at = ?5, expires_at = ?6
WHERE expires_at <= ?5;
