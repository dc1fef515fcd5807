-- Conditional: of two operators only one moves the message.
DELETE FROM mainstay_dead WHERE seq = ?1 RETURNING lane, key;
