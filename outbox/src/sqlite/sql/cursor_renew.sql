UPDATE mainstay_cursor SET lease_until = ?4 WHERE lane = ?1 AND owner = ?2 AND epoch = ?3;
