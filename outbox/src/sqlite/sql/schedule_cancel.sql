DELETE FROM mainstay_schedule WHERE id = ?1;
