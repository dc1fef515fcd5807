INSERT INTO mainstay_redrive (at, act, operator, reason, filter) VALUES (?1, ?2, ?3, ?4, ?5);
