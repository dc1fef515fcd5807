INSERT INTO mainstay_cursor (lane) VALUES (?1) ON CONFLICT (lane) DO NOTHING;
