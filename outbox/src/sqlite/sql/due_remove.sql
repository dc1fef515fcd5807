DELETE FROM mainstay_due WHERE seq = ?1;
