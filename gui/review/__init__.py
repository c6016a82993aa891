"""One session: its head, the conversation, the changes, the picture of its copies."""
