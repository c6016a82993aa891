"""The best session file that all copies determine."""
