"""What is wrong, session by session and store by store."""
