SELECT fingerprint, state, lease_until, result FROM mainstay_idempotency WHERE key = ?1 AND expires_at > ?2;
