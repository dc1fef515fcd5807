DELETE FROM mainstay_due WHERE seq = ?1 AND stone = 1;
