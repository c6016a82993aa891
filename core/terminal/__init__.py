"""The terminal front; nothing in the engine knows it."""
