"""The one-machine stack: PostgreSQL, NATS and every service under one supervisor."""
