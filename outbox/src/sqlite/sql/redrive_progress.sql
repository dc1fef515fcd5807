UPDATE mainstay_redrive SET moved = moved + ?2, finished_at = ?3 WHERE batch = ?1;
