DELETE FROM mainstay_inbox WHERE (consumer, id) IN (
    SELECT consumer, id FROM mainstay_inbox WHERE seen_at < ?1 ORDER BY seen_at LIMIT ?2
);
