-- Not while a delivery is under way, nor when one may have happened.
DELETE FROM mainstay_due
WHERE id = ?1 AND stone = 0 AND claims = 0 AND uncertain = 0
RETURNING lane, key;
