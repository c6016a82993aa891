"""What knows nothing of Hermes: reading and durable writing, JSON text, SQLite without a trace, progress."""
