"""Data files of Hermes Rescue: icons, the report template, the demo store. Read with ``importlib.resources``."""
