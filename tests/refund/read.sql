SELECT refunded FROM receipt WHERE id = ?
