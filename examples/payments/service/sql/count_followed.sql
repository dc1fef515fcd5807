SELECT COUNT(*) FROM orders WHERE attempt > 0 OR stage = 'accepted'
