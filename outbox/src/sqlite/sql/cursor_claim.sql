UPDATE mainstay_cursor
SET owner = ?2, epoch = ?3, lease_until = ?4, position = ?5, claimed_to = ?6
WHERE lane = ?1;
