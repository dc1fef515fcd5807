UPDATE mainstay_due SET claims = claims + 1 WHERE seq IN (SELECT value FROM json_each(?1));
