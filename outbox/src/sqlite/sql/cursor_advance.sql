-- Fenced: a relay that was replaced meanwhile changes nothing.
UPDATE mainstay_cursor
SET position = ?4, lease_until = ?5
WHERE lane = ?1 AND owner = ?2 AND epoch = ?3;
