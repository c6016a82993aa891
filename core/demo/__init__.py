"""The demo store, outside the engine's rooms."""
