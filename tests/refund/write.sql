UPDATE receipt SET refunded = ? WHERE id = ?
