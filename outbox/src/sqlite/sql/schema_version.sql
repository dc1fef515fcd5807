SELECT COALESCE(MAX(version), 0) FROM mainstay_schema;
