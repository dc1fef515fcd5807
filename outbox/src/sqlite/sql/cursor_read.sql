SELECT owner, epoch, lease_until, position, claimed_to FROM mainstay_cursor WHERE lane = ?1;
