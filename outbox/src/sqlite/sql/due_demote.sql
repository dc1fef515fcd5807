-- An earlier message came back: the head steps behind it, unless it is being delivered.
UPDATE mainstay_due SET ready = 0
WHERE lane = ?1 AND key = ?2 AND ready = 1 AND claims = 0
  AND seq > (SELECT MIN(d.seq) FROM mainstay_due d WHERE d.lane = ?1 AND d.key = ?2);
