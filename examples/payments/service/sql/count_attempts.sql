SELECT outcome, COUNT(*) FROM attempts GROUP BY outcome
